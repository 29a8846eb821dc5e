// The room on the page: its messages, who is here, and the line to write in.

import { el, part, tell } from "./dom.js";

const TOGETHER = 300; // seconds within which one person's messages stand under one name
const NEAR = 80; // px from the end of the log that still count as its end
const MAX_TEXT = 2000;

// Deep enough for white letters on them (4.5:1 and more).
const FACES = [
  "#0b5a8f",
  "#8a4500",
  "#00664a",
  "#8c2f6b",
  "#5b4a9c",
  "#7a3b2e",
  "#3d5c14",
  "#4d5661",
];

function face(user, name) {
  const sum = [...user].reduce((total, char) => (total * 31 + char.codePointAt(0)) >>> 0, 7);
  const node = el(
    "span",
    { className: "face", aria: { hidden: "true" } },
    [...name][0]?.toUpperCase() ?? "?",
  );
  node.style.setProperty("--face", FACES[sum % FACES.length]);
  return node;
}

const clock = at =>
  new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export class RoomView {
  #rooms;
  #log = part("log");
  #text = part("text");
  #previous = null;

  constructor(rooms) {
    this.#rooms = rooms;
    const here = call => event => event.detail.room === rooms.current && call(event.detail);
    rooms.addEventListener("rooms", () => this.#showRooms());
    rooms.addEventListener(
      "history",
      here(() => this.#showAll()),
    );
    rooms.addEventListener(
      "said",
      here(({ message }) => this.#append(message)),
    );
    rooms.addEventListener(
      "pending",
      here(() => this.#showPending()),
    );
    rooms.addEventListener(
      "people",
      here(() => this.#showPeople()),
    );
    rooms.addEventListener("trouble", event => tell(part("room-problem"), event.detail.detail));
    this.#log.addEventListener("scroll", () => {
      if (this.#atEnd()) part("newer").hidden = true;
    });
    part("newer").addEventListener("click", () => this.#scroll());
    part("composer").addEventListener("submit", event => this.#submit(event));
    this.#text.addEventListener("keydown", event => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) this.#submit(event);
    });
    this.#text.addEventListener("input", () => this.#count());
  }

  focus() {
    this.#text.focus();
  }

  clear() {
    for (const id of ["rooms", "log", "present", "room-title", "room-topic"])
      part(id).replaceChildren();
    this.#text.value = "";
    tell(part("room-problem"), "");
  }

  #submit(event) {
    event.preventDefault();
    const text = this.#text.value.trim();
    if (!text || !this.#rooms.room) return;
    tell(part("room-problem"), "");
    if (!this.#rooms.say(text)) return;
    this.#text.value = "";
    this.#count();
    this.#scroll();
    this.#text.focus();
  }

  #count() {
    const left = MAX_TEXT - [...this.#text.value].length;
    part("text-left").textContent = left < 200 ? `${left} characters left` : "";
  }

  // --- rooms ---

  #showRooms() {
    const { rooms, current } = this.#rooms;
    const focused = document.activeElement?.dataset?.room;
    part("rooms").replaceChildren(
      ...[...rooms.values()].map(room => {
        const button = el(
          "button",
          { type: "button", data: { room: room.id }, on: { click: () => this.#enter(room.id) } },
          room.title,
        );
        if (room.id === current) button.setAttribute("aria-current", "true");
        if (room.unread)
          button.append(
            el(
              "span",
              { className: "count" },
              `${room.unread}`,
              el("span", { className: "only-spoken" }, " unread"),
            ),
          );
        return el("li", {}, button);
      }),
    );
    if (focused) part("rooms").querySelector(`[data-room="${focused}"]`)?.focus();
    const { title = "", topic = "" } = this.#rooms.room ?? {};
    part("room-title").textContent = title;
    part("room-topic").textContent = topic;
  }

  #enter(name) {
    if (name === this.#rooms.current) return;
    this.#rooms.enter(name);
    this.#showAll();
    this.#showPeople();
    this.#scroll();
  }

  #showPeople() {
    const { room, user } = this.#rooms;
    part("present").replaceChildren(
      ...room.people.map(({ id, name }) =>
        el("li", {}, face(id, name), id === user.id ? `${name} (you)` : name),
      ),
    );
  }

  // --- messages ---

  /** Draw the whole log anew, in silence: nobody wants to hear a hundred old messages. */
  #showAll() {
    const atEnd = this.#atEnd();
    this.#log.setAttribute("aria-live", "off");
    this.#previous = null;
    const nodes = this.#rooms.room.messages.map(message => this.#draw(message));
    this.#log.replaceChildren(...nodes);
    this.#showPending();
    if (atEnd) this.#scroll();
    requestAnimationFrame(() => this.#log.setAttribute("aria-live", "polite"));
  }

  #append(message) {
    const atEnd = this.#atEnd();
    this.#log.querySelector(".empty")?.remove();
    const waiting = this.#log.querySelector(".kept");
    this.#log.insertBefore(this.#draw(message), waiting);
    if (atEnd) this.#scroll();
    else part("newer").hidden = false;
  }

  #draw(message) {
    if (message.divider) {
      this.#previous = null;
      return el("li", { className: "divider" }, message.divider);
    }
    const before = this.#previous;
    this.#previous = message;
    const follows = before?.user === message.user && message.at - before.at < TOGETHER;
    const node = el("li", { className: "said", data: { seq: message.seq } });
    if (follows) {
      node.append(
        el("span", { className: "only-spoken" }, `${message.name}: `),
        this.#words(message),
      );
      return node;
    }
    const at = new Date(message.at * 1000).toISOString();
    const by = el(
      "p",
      { className: "by" },
      el("strong", {}, message.name),
      el("time", { dateTime: at }, clock(message.at)),
    );
    node.classList.add("first");
    node.append(face(message.user, message.name), by, this.#words(message));
    return node;
  }

  #words({ text }) {
    return el("p", { className: "words", dir: "auto" }, text);
  }

  /** Draw what has not arrived, below everything that has. */
  #showPending() {
    const atEnd = this.#atEnd();
    for (const old of this.#log.querySelectorAll(".kept")) old.remove();
    const waiting = this.#rooms.pending.filter(message => message.room === this.#rooms.current);
    this.#log.append(...waiting.map(message => this.#drawPending(message)));
    if (!this.#log.childElementCount) {
      this.#log.append(el("li", { className: "empty" }, "Nobody has said anything here yet."));
    } else if (this.#log.childElementCount > 1) this.#log.querySelector(".empty")?.remove();
    if (atEnd) this.#scroll();
  }

  #drawPending(message) {
    const node = el("li", { className: "said kept", data: { id: message.id } });
    const fate = el("p", { className: "fate" }, "not sent yet");
    if (message.problem) {
      fate.classList.add("wrong");
      const remove = el(
        "button",
        { type: "button", on: { click: () => this.#takeBack(message) } },
        "Edit",
      );
      fate.replaceChildren(`not taken: ${message.problem}`, remove);
    }
    node.append(this.#words(message), fate);
    return node;
  }

  #takeBack(message) {
    this.#rooms.drop(message.id);
    this.#text.value = message.text;
    this.#count();
    this.#text.focus();
  }

  // --- scrolling ---

  #atEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.#log;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  #scroll() {
    this.#log.scrollTop = this.#log.scrollHeight;
    part("newer").hidden = true;
  }
}
