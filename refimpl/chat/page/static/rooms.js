// What this page knows: rooms with their messages, and what is written and has not arrived yet.
//
// A message is kept until it comes back with a number. It is sent again after each new connection,
// always under the same id, so the server can tell it from a second one with the same words.
//
// A page's place in a room is (epoch, number, id): the last message that it has. Whatever comes
// twice is known by the id of its sender and its own.

import { plural } from "./dom.js";

const KEPT = 500; // messages of a room on the page
const UNSENT = 100; // messages that wait for a connection
const REMEMBERED = 2000; // ids of messages of a room, as many as the server remembers
const AGAIN = 2000; // ms until what the server could not do is asked for again
const IN_FLIGHT = 8; // messages without an answer: more would only wait behind each other
const HALVES = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join("");
}

const nameOf = ({ user, id }) => `${user} ${id}`;
const areMany = (count, where = "") =>
  `${plural(count, "message")}${where} ${count === 1 ? "is" : "are"}`;
const missing = count => `${areMany(count)} missing`;

/**
 * Events: "rooms", "history", "said", "pending", "people", "trouble"; `detail.room` says where.
 * "store": `degraded` has changed.
 */
export class Rooms extends EventTarget {
  rooms = new Map();
  current = "";
  pending = [];
  degraded = false; // the server cannot reach its store: nothing can be said
  #send;
  #store = "";
  #timer = 0;
  #sent = new Set(); // ids that are on their way on this connection
  #entered = new Set(); // rooms that this connection is in

  /** send: takes an object, returns whether it left. */
  constructor(send) {
    super();
    this.#send = send;
  }

  get room() {
    return this.rooms.get(this.current);
  }

  /** Begin as a user, with what that user had not sent before the page was loaded again. */
  begin(user) {
    if (this.user?.id !== user.id) {
      this.rooms.clear();
      this.current = "";
    }
    this.user = user;
    this.#store = `refimpl-unsent-${user.id}`;
    try {
      this.pending = JSON.parse(sessionStorage.getItem(this.#store)) ?? [];
    } catch {
      this.pending = [];
    }
  }

  /** Forget everything: somebody signed out. */
  forget() {
    if (this.#store) sessionStorage.removeItem(this.#store);
    this.rooms.clear();
    this.pending = [];
    this.current = "";
    this.user = null;
  }

  // --- what a person does ---

  enter(name) {
    this.current = name;
    const room = this.room;
    room.unread = 0;
    if (!room.wanted) {
      room.wanted = true;
      this.#join(room);
    }
    this.#tell("rooms");
  }

  /** Say something; return whether it is kept until it has arrived: so much may wait. */
  say(text) {
    if (this.pending.length >= UNSENT) {
      const detail = `${UNSENT} messages wait to be sent: this page takes no more until they are.`;
      this.#tell("trouble", this.current, { detail });
      return false;
    }
    this.pending.push({
      id: newId(),
      room: this.current,
      text: text.replace(HALVES, "\ufffd"), // half of a pair is no character: nobody takes it
      at: Date.now() / 1000,
    });
    this.#flush(this.current);
    this.#changed(this.current);
    return true;
  }

  /** Give up an unsent message. */
  drop(id) {
    const room = this.pending.find(message => message.id === id)?.room;
    this.pending = this.pending.filter(message => message.id !== id);
    this.#changed(room);
  }

  // --- what the server says ---

  hear(message) {
    switch (message.type) {
      case "welcome":
        return this.#welcome(message);
      case "joined":
        return this.#joined(message);
      case "said":
        return this.#said(this.rooms.get(message.room), message.message);
      case "resync":
        return this.#resync(message);
      case "store":
        return this.#degrade(message.degraded);
      case "activity":
        return this.#activity(message);
      case "presence":
        return this.#presence(message);
      case "error":
        return this.#refused(message);
    }
  }

  #welcome({ rooms }) {
    this.#sent.clear();
    this.#entered.clear();
    this.#degrade(false);
    for (const { id, title, topic, epoch, last } of rooms) {
      const room = this.rooms.get(id) ?? {
        id,
        messages: [],
        people: [],
        epoch: "",
        last: 0,
        place: {}, // user and id of the message with the last number
        known: new Set(),
        filled: 0, // up to this number, what is not known by its id is new all the same
        heard: { epoch, last }, // up to where it is counted while nobody has looked into it
        unread: 0,
        wanted: false,
      };
      this.rooms.set(id, Object.assign(room, { title, topic }));
      if (this.pending.some(message => message.room === id)) room.wanted = true;
      if (!room.wanted) this.#count(room, epoch, last);
    }
    if (!this.room) {
      this.current = rooms[0].id;
      this.room.wanted = true;
    }
    this.#tell("rooms");
    for (const room of this.rooms.values()) if (room.wanted) this.#join(room);
  }

  /** Count what was said, while this page was away, in a room that it has not been in. */
  #count(room, epoch, last) {
    const before = room.heard.epoch === epoch ? room.heard.last : 0;
    room.unread += Math.max(0, last - before);
    room.heard = { epoch, last };
  }

  #join({ id: room, last: after, epoch, place }) {
    this.#send({ type: "join", room, after, epoch, ...place });
  }

  #joined({ room: name, epoch, last, lost, messages, people }) {
    const room = this.rooms.get(name);
    const isFirst = room.epoch === ""; // then all of it is older than this page
    const isAnew = !isFirst && room.epoch !== epoch;
    if (isAnew && !messages.some(message => room.known.has(nameOf(message)))) {
      room.messages.push({
        divider: "The server was started anew and remembers nothing from before",
      });
    } else if (isAnew) {
      room.messages.push({ divider: lost ? missing(lost) : "The last messages may be missing" });
    } else if (lost) {
      room.messages.push({ divider: `${areMany(lost, " in between")} kept no more` });
    }
    if (isAnew) room.last = 0;
    room.epoch = epoch;
    this.#entered.add(name);
    room.people = people;
    for (const message of messages) this.#take(room, message, !isFirst);
    this.#goTo(room, last);
    this.#tell("history", name);
    this.#tell("people", name);
    this.#flushAll();
    this.#changed(name);
  }

  #said(room, message) {
    if (message.seq > room.last + 1) return this.#join(room); // a gap: ask for all behind the last
    const known = this.#take(room, message, true);
    if (!known) this.#tell("said", room.id, { message });
    if (message.user === this.user.id) this.#flushAll();
    this.#changed(room.id);
  }

  /** Messages are lost. Behind this come those that are not, known ones among them. */
  #resync({ room: name, epoch, last, missing: count }) {
    const room = this.rooms.get(name);
    room.messages.push({ divider: count ? missing(count) : "The last messages may be missing" });
    room.epoch = epoch;
    room.last = 0;
    this.#goTo(room, last);
    room.filled = last;
    this.#tell("history", name);
  }

  /** Move the place of this page in a room to a number, whose message it may not have. */
  #goTo(room, number) {
    if (number === room.last) return;
    room.last = number;
    room.place = {};
  }

  #degrade(degraded) {
    const changed = degraded !== this.degraded;
    this.degraded = degraded;
    if (!changed) return;
    this.#tell("store");
    if (!degraded) this.#again();
  }

  /** Ask again for what the server could not do. */
  #again() {
    clearTimeout(this.#timer);
    for (const room of this.rooms.values())
      if (room.wanted && !this.#entered.has(room.id)) this.#join(room);
    this.#flushAll();
  }

  /** Note that something was said in a room that this page is not in. */
  #activity({ room: name, epoch, last, user }) {
    const room = this.rooms.get(name);
    if (room.wanted) return; // it is being entered, and comes with all of it
    if (user !== this.user.id) room.unread += 1;
    room.heard = { epoch, last };
    this.#tell("rooms");
  }

  /** Put a message into its room unless it is there; return whether it was. */
  #take(room, message, counts) {
    if (message.user === this.user.id) {
      this.pending = this.pending.filter(({ id }) => id !== message.id);
      this.#sent.delete(message.id);
    }
    if (room.known.has(nameOf(message))) return true;
    if (message.seq <= room.last && message.seq > room.filled) return true;
    if (message.seq > room.filled) room.filled = 0;
    room.known.add(nameOf(message));
    if (room.known.size > REMEMBERED) room.known.delete(room.known.values().next().value);
    if (message.seq >= room.last) {
      room.last = message.seq;
      room.place = { id: message.id, user: message.user };
    }
    room.messages.push(message);
    if (room.messages.length > KEPT) room.messages.shift();
    if (counts && room.id !== this.current && message.user !== this.user.id) {
      room.unread += 1;
      this.#tell("rooms");
    }
    return false;
  }

  #presence({ room: name, user, here }) {
    const room = this.rooms.get(name);
    room.people = room.people.filter(({ id }) => id !== user.id);
    if (here) room.people.push(user);
    room.people.sort((one, other) => one.name.localeCompare(other.name));
    this.#tell("people", name);
  }

  #refused({ id, code, detail }) {
    if (code === "unavailable") {
      this.#sent.delete(id);
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#again(), AGAIN);
      return;
    }
    const message = this.pending.find(each => each.id === id);
    if (message) {
      message.problem = detail;
      this.#sent.delete(id);
      this.#flushAll();
      this.#changed(message.room);
    } else this.#tell("trouble", this.current, { detail });
  }

  #flushAll() {
    for (const name of this.#entered) this.#flush(name);
  }

  /** Send what waits for a room, in order, a few at a time; what is on its way, not again. */
  #flush(name) {
    if (!this.#entered.has(name) || this.degraded) return;
    for (const { id, room, text, problem } of this.pending) {
      if (this.#sent.size >= IN_FLIGHT) return;
      if (room !== name || problem || this.#sent.has(id)) continue;
      if (!this.#send({ type: "say", room, id, text })) return;
      this.#sent.add(id);
    }
  }

  #changed(room) {
    try {
      sessionStorage.setItem(this.#store, JSON.stringify(this.pending));
    } catch {
      /* a full store: then it lives as long as this page */
    }
    this.#tell("pending", room);
  }

  #tell(name, room = "", detail = {}) {
    this.dispatchEvent(new CustomEvent(name, { detail: { room, ...detail } }));
  }
}
