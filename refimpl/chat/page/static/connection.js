// One connection that comes back: ticket, socket, heartbeat, and a random, growing wait for the
// next try.

import { socketAddress, ticket } from "./api.js";

const FIRST_WAIT = 500; // ms
const LONGEST_WAIT = 15000;
const STEADY = 5000; // ms that a connection has to hold before the next loss counts as a first one
const OPEN_WITHIN = 10000;
const SIGNED_OUT = 4401;
const GIVEN_UP = 4000; // what we say to a server that does not answer, in case it hears

/** Return ms before try number `tries` (0 first): doubling, and half of it left to chance, so that
    a thousand pages that lost one server do not all come back in the same second. */
export function backOff(tries, random = Math.random) {
  const most = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** tries);
  return most / 2 + (random() * most) / 2;
}

/**
 * Events: "state" (connecting, open, waiting with `until`, over), "message" with the parsed object,
 * "ended" with code and reason of each socket, "signedout" where only signing in again helps.
 */
export class Connection extends EventTarget {
  #socket = null;
  #tries = 0;
  #openedAt = 0;
  #lastHeard = 0;
  #pingedAt = 0;
  #heartbeat = { after: 20, within: 10 };
  #timer = 0; // to the next try
  #watch = 0; // of the heartbeat
  #attempt = 0; // of several that overlap, the latest counts

  state = "over";

  start() {
    this.#tries = 0;
    this.#connect();
  }

  stop() {
    this.#attempt += 1;
    this.#drop(1000);
    this.#enter("over");
  }

  /** Do not wait any longer. */
  retry() {
    if (this.state === "waiting") this.#connect();
  }

  /** Send an object; return whether there was a connection to send it on. */
  send(message) {
    if (this.state !== "open") return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Expect a word soon: something was sent that gets an answer. */
  expect() {
    const { after, within } = this.#heartbeat;
    this.#lastHeard = Math.min(
      this.#lastHeard,
      performance.now() - (after - Math.min(after, within)) * 1000,
    );
  }

  #enter(state, detail = {}) {
    this.state = state;
    this.#tell("state", { state, ...detail });
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  async #connect() {
    clearTimeout(this.#timer);
    const attempt = ++this.#attempt;
    this.#enter("connecting");
    try {
      const address = socketAddress("chat", { ticket: await ticket() });
      if (attempt === this.#attempt) this.#open(address);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (error.status === 401) {
        this.stop();
        this.#tell("signedout", { reason: error.message });
      } else this.#wait();
    }
  }

  #open(address) {
    const socket = (this.#socket = new WebSocket(address));
    this.#timer = setTimeout(() => this.#lose(socket, GIVEN_UP, "no answer"), OPEN_WITHIN);
    socket.onmessage = event => this.#hear(JSON.parse(event.data));
    socket.onclose = event => this.#lose(socket, event.code, event.reason);
  }

  #hear(message) {
    this.#lastHeard = performance.now();
    this.#pingedAt = 0;
    if (message.type === "pong") return;
    if (message.type === "welcome") {
      clearTimeout(this.#timer);
      this.#heartbeat = message.heartbeat;
      this.#openedAt = this.#lastHeard;
      this.#watch = setInterval(() => this.#listen(), Math.min(1000, this.#heartbeat.within * 250));
      this.#enter("open");
    }
    this.#tell("message", message);
  }

  /** Look whether the server lives. A browser notices a dead network after minutes, if ever. */
  #listen() {
    const now = performance.now();
    const { after, within } = this.#heartbeat;
    if (this.#pingedAt && now - this.#pingedAt > within * 1000) {
      this.#lose(this.#socket, GIVEN_UP, "no answer to a ping");
    } else if (!this.#pingedAt && now - this.#lastHeard > after * 1000) {
      this.#pingedAt = now;
      this.send({ type: "ping" });
    }
  }

  /** Note the end of a socket, whoever ended it, and think about the next. */
  #lose(socket, code, reason) {
    if (socket !== this.#socket) return; // an old one, let go before
    const steady = this.#openedAt && performance.now() - this.#openedAt > STEADY;
    this.#drop(GIVEN_UP, reason);
    this.#tell("ended", { code, reason });
    if (code === SIGNED_OUT) {
      this.stop();
      this.#tell("signedout", { reason: reason || "the session is over" });
      return;
    }
    if (steady) this.#tries = 0;
    this.#wait();
  }

  #wait() {
    const wait = backOff(this.#tries++);
    this.#enter("waiting", { until: Date.now() + wait });
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  /** Let the socket go without waiting for its goodbye: over a dead network none comes. */
  #drop(code, reason = "") {
    clearTimeout(this.#timer);
    clearInterval(this.#watch);
    const socket = this.#socket;
    this.#socket = null;
    this.#pingedAt = this.#openedAt = 0;
    if (socket) {
      socket.onmessage = socket.onclose = null;
      socket.close(code, reason);
    }
  }
}
