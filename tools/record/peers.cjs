// A conversation of the `ws` package for the recorder: text, bytes, a Ping between fragments, Close.
const WebSocket = require("ws");
const ws = new WebSocket(process.argv[2]);

const said = ["Hello", Buffer.from(Array.from(Array(300).keys()))];
ws.on("open", () => ws.send(said.shift()));
ws.on("pong", () => ws.send("three parts", { fin: true }));

let answers = 0;
ws.on("message", () => {
  answers += 1;
  if (said.length) return ws.send(said.shift());
  if (answers > 2) return ws.close(1000, "bye");
  ws.send("one message ", { fin: false });
  ws.send("in ", { fin: false });
  ws.ping("still there?");
});
ws.on("error", error => { console.error(String(error)); process.exit(1); });
