// Puts the page together: who is signed in, the connection and its state, the room, the wire panel.

import { signOut, whoAmI } from "./api.js";
import { Connection } from "./connection.js";
import { part, tell } from "./dom.js";
import { Rooms } from "./rooms.js";
import { RoomView } from "./room-view.js";
import { SignIn } from "./sign-in.js";
import { WirePanel } from "./wire.js";

const WORDS = { connecting: "Connecting", open: "Connected", over: "Signed out" };

const connection = new Connection();
const rooms = new Rooms(message => {
  const left = connection.send(message);
  if (left) connection.expect();
  return left;
});
const view = new RoomView(rooms);
const wire = new WirePanel();
const door = new SignIn(begin);
let countdown = 0;

function begin(user) {
  part("chat").hidden = false;
  part("me").textContent = user.name;
  document.title = "refimpl chat";
  rooms.begin(user);
  connection.start();
  view.focus();
}

function end(problem) {
  wire.close();
  view.clear();
  door.show(problem);
}

connection.addEventListener("state", ({ detail: { state, until } }) => {
  clearInterval(countdown);
  part("state").dataset.state = state;
  if (state === "waiting") {
    countdown = setInterval(() => count(until), 250);
    count(until);
    tell(part("state-spoken"), "No connection. What you write is kept and sent afterwards.");
  } else {
    part("state-words").textContent = WORDS[state];
    tell(part("state-spoken"), state === "open" ? "Connected" : "");
  }
  part("state-spoken").hidden = false;
  if (state === "open") part("away").hidden = true;
  else if (state === "waiting") part("away").hidden = false;
  if (state === "connecting") part("away-title").textContent = "Connecting.";
  part("retry").disabled = state !== "waiting";
});

function count(until) {
  const seconds = Math.max(1, Math.ceil((until - Date.now()) / 1000));
  part("state-words").textContent = `Back in ${seconds} s`;
  part("away-title").textContent = `No connection, next try in ${seconds} s.`;
}

connection.addEventListener("message", ({ detail: message }) => {
  rooms.hear(message);
  if (message.type !== "welcome") return;
  wire.follow(message.connection, message.node);
  part("node").textContent = message.node && `on ${message.node}`;
});

rooms.addEventListener("store", () => {
  part("degraded").hidden = !rooms.degraded;
});

connection.addEventListener("ended", ({ detail }) => wire.ended(detail));

connection.addEventListener("signedout", async ({ detail }) => {
  const { reason } = await whoAmI().catch(() => ({}));
  end(reason === "restarted" ? REASONS.restarted : `Your session is over: ${detail.reason}.`);
});

part("retry").addEventListener("click", () => {
  connection.retry();
  view.focus();
});
window.addEventListener("online", () => connection.retry());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) connection.retry();
});

part("sign-out").addEventListener("click", async () => {
  connection.stop();
  rooms.forget();
  // Gone already, or no network: then the cookie runs out.
  const { status } = await signOut().catch(error => error) ?? {};
  end(status === 503 ? "The server could not end your session. Sign in and out again later." : "");
});

const REASONS = {
  missing: "",
  expired: "Your session is over: sign in again.",
  restarted: "The server was restarted: sign in again.",
  invalid: "Your session does not count any more: sign in again.",
};

try {
  const { user, reason } = await whoAmI();
  if (user) begin(user);
  else door.show(REASONS[reason]);
} catch (error) {
  door.show(error.message);
}
