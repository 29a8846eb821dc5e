// The wire panel: the frames of this page's own chat connection, from a feed of its own.

import { socketAddress, ticket } from "./api.js";
import { el, part, plural } from "./dom.js";
import { CLOSE_CODES, dissect, summary } from "./frame.js";
import { showFrame } from "./frame-view.js";

const MOST = 300; // rows; the oldest go first
const PREVIEW = 200; // characters
const COVERING = matchMedia("(max-width: 46rem)"); // as in wire.css: the panel hides the rest
const AGAIN = 2000; // ms until a feed that broke is opened anew

function toBytes(base64) {
  return Uint8Array.from(atob(base64), char => char.charCodeAt(0));
}

function clock(at) {
  const time = new Date(at * 1000);
  const milliseconds = String(time.getMilliseconds()).padStart(3, "0");
  return `${time.toLocaleTimeString("en-GB")}.${milliseconds}`;
}

export class WirePanel {
  #panel = part("wire");
  #list = part("frames");
  #frames = new Map(); // row's id -> what it shows
  #over = new Map(); // connection -> the row that says it ended: frames may come behind the news
  #chosen = null;
  #paused = false;
  #held = []; // what comes while paused
  #connection = "";
  #node = "";
  #shown = { connection: "", number: 0 }; // the last frame in the list
  #socket = null;
  #again = 0;
  #ids = 0;

  constructor() {
    part("wire-toggle").addEventListener("click", () =>
      this.#panel.hidden ? this.open() : this.close(),
    );
    part("wire-close").addEventListener("click", () => this.close());
    part("wire-clear").addEventListener("click", () => this.#clear());
    part("wire-pause").addEventListener("click", () => this.#pause(!this.#paused));
    this.#list.addEventListener("click", event =>
      this.#choose(event.target.closest("[role=option]")),
    );
    this.#list.addEventListener("keydown", event => this.#key(event));
    this.#panel.addEventListener("keydown", event => {
      if (event.key === "Escape") this.close();
    });
    COVERING.addEventListener("change", () => this.#cover());
    let width = 0;
    new ResizeObserver(() => {
      // only the width changes the drawing; its own height must not
      const now = part("frame").clientWidth;
      if (now !== width) this.#drawChosen();
      width = now;
    }).observe(part("frame"));
  }

  open() {
    this.#panel.hidden = false;
    part("wire-toggle").setAttribute("aria-expanded", "true");
    this.#cover();
    this.#list.focus();
    this.#watch();
  }

  close() {
    if (this.#panel.hidden) return;
    this.#panel.hidden = true;
    part("wire-toggle").setAttribute("aria-expanded", "false");
    this.#cover();
    this.#unwatch();
    this.#clear();
    this.#shown = { connection: "", number: 0 }; // opened again, it shows what is kept
    this.#pause(false);
    part("wire-toggle").focus();
  }

  /** Let the keyboard not go behind a panel that hides the rest. */
  #cover() {
    const covered = COVERING.matches && !this.#panel.hidden;
    for (const other of this.#panel.parentElement.children)
      if (other !== this.#panel) other.inert = covered;
  }

  /** Show this connection from now on; "" where the server cannot. node: where its frames are. */
  follow(connection, node) {
    this.#connection = connection;
    this.#node = node;
    if (!this.#panel.hidden) this.#watch();
  }

  /** Note how the chat's socket ended, as the page was told. */
  ended({ code, reason }) {
    if (this.#panel.hidden || !this.#connection) return;
    const name = [CLOSE_CODES[code], reason].filter(Boolean).join(", ");
    this.#take({ news: `connection over: ${code} ${name}`, ended: this.#connection });
  }

  // --- the feed ---

  async #watch() {
    this.#unwatch();
    if (!this.#connection) {
      return this.#say(
        "This server's engine does not show its frames. Run it with our engine: refimpl demo, " +
          "or uvicorn --ws refimpl.middleware.engine:Engine.",
      );
    }
    const connection = this.#connection;
    try {
      const where = this.#node ? { connection, node: this.#node } : { connection };
      const address = socketAddress("wire", { ...where, ticket: await ticket() });
      if (connection !== this.#connection || this.#panel.hidden || this.#socket) return;
      this.#listen(new WebSocket(address), connection);
    } catch {
      this.#later(connection);
    }
  }

  #listen(socket, connection) {
    this.#socket = socket;
    if (this.#shown.connection !== connection) {
      if (this.#shown.connection) this.#take({ news: "a new connection" });
      this.#shown = { connection, number: 0 };
    }
    socket.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      if (event.type === "frame") this.#take({ ...event, connection });
    };
    socket.onclose = () => {
      if (socket !== this.#socket) return;
      this.#socket = null;
      this.#later(connection);
    };
    this.#describe();
  }

  #later(connection) {
    this.#again = setTimeout(() => {
      if (connection === this.#connection && !this.#panel.hidden) this.#watch();
    }, AGAIN);
  }

  #unwatch() {
    clearTimeout(this.#again);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  // --- the list ---

  #take(event) {
    if (this.#paused) {
      this.#held.push(event);
      if (this.#held.length > MOST) this.#held.shift();
      this.#describe();
    } else this.#add(event);
  }

  #add(event) {
    const atEnd = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 40;
    if (event.news) this.#addNews(event);
    else this.#addFrame(event);
    while (this.#list.childElementCount > MOST) this.#remove(this.#list.firstElementChild);
    if (atEnd) this.#list.scrollTop = this.#list.scrollHeight;
    this.#describe();
  }

  #addFrame({ connection, number, direction, at, size, bytes }) {
    if (connection === this.#shown.connection) {
      if (number <= this.#shown.number) return; // seen before the feed was opened again
      const skipped = number - this.#shown.number - 1;
      if (skipped) this.#addNews({ news: `${plural(skipped, "frame")} passed unseen` });
      this.#shown.number = number;
    }
    const frame = dissect(toBytes(bytes), size);
    const row = this.#frameRow(frame, direction, at);
    this.#frames.set(row.id, { frame, direction });
    this.#list.insertBefore(row, this.#over.get(connection) ?? null);
  }

  #addNews({ news, ended }) {
    const row = this.#newsRow(news);
    if (ended) this.#over.set(ended, row);
    this.#list.append(row);
  }

  #newsRow(text) {
    return el("li", { className: "news", role: "option", aria: { disabled: "true" } }, text);
  }

  #frameRow(frame, direction, at) {
    const sent = direction === "in";
    const kind = el("span", { className: "kind" }, frame.kind);
    if (!frame.fin) kind.append(el("span", { className: "mini" }, "part"));
    if (frame.rsv1) kind.append(el("span", { className: "mini" }, "RSV1"));
    if (frame.masked) kind.append(el("span", { className: "mini" }, "mask"));
    return el(
      "li",
      {
        id: `frame-${++this.#ids}`,
        className: direction,
        role: "option",
        aria: { selected: "false" },
      },
      el(
        "span",
        { className: "way" },
        el("span", { aria: { hidden: "true" } }, sent ? "↑" : "↓"),
        el("span", { className: "only-spoken" }, sent ? "sent" : "received"),
      ),
      el("time", {}, clock(at)),
      kind,
      el("span", { className: "size" }, `${frame.length.toLocaleString("en")} B`),
      el("span", { className: "peek" }, summary(frame).slice(0, PREVIEW)),
    );
  }

  #remove(row) {
    this.#frames.delete(row.id);
    for (const [connection, over] of this.#over) if (over === row) this.#over.delete(connection);
    if (row === this.#chosen) this.#choose(null);
    row.remove();
  }

  #clear() {
    this.#held = [];
    this.#frames.clear();
    this.#over.clear();
    this.#list.replaceChildren();
    this.#choose(null);
    this.#describe();
  }

  #pause(paused) {
    this.#paused = paused;
    part("wire-pause").setAttribute("aria-pressed", String(paused));
    if (!paused) for (const event of this.#held.splice(0)) this.#add(event);
    this.#describe();
  }

  #describe() {
    if (this.#paused) return this.#say(`Paused; ${plural(this.#held.length, "frame")} since.`);
    if (!this.#connection) return;
    this.#say("↑ sent by this page, masked. ↓ sent by the server. Choose a frame to see its bits.");
  }

  #say(text) {
    part("wire-state").textContent = text;
  }

  // --- the chosen frame ---

  #key(event) {
    const rows = [...this.#list.querySelectorAll("[role=option]:not(.news)")];
    const at = rows.indexOf(this.#chosen);
    const last = rows.length - 1;
    const next = {
      ArrowDown: Math.min(at + 1, last),
      ArrowUp: at < 0 ? last : Math.max(at - 1, 0),
      Home: 0,
      End: last,
    }[event.key];
    if (next === undefined || !rows.length) return;
    event.preventDefault();
    this.#choose(rows[next]);
    rows[next].scrollIntoView({ block: "nearest" });
  }

  #choose(row) {
    if (row?.classList.contains("news")) return;
    this.#chosen?.setAttribute("aria-selected", "false");
    this.#chosen = row;
    row?.setAttribute("aria-selected", "true");
    if (row) this.#list.setAttribute("aria-activedescendant", row.id);
    else this.#list.removeAttribute("aria-activedescendant");
    part("frame").scrollTop = 0;
    this.#drawChosen();
  }

  #drawChosen() {
    const { frame, direction } = this.#frames.get(this.#chosen?.id) ?? {};
    if (frame) showFrame(part("frame"), frame, direction);
    else part("frame").replaceChildren();
  }
}
