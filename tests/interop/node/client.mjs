// Sends each message of the JSON on standard input, checks its echo, closes with 3001, reports.
// Messages are {"text": ...} or {"base64": ...}; options: url, compression (true or false).
import { readFileSync } from "node:fs";
import WebSocket from "ws";

const [url, compression] = process.argv.slice(2);
const messages = JSON.parse(readFileSync(0, "utf8")).map((one) =>
  "text" in one ? one.text : Buffer.from(one.base64, "base64"),
);
const report = { echoed: 0, pong: null };
const socket = new WebSocket(url, { perMessageDeflate: compression === "true" });
let next = 0;

socket.on("open", () => {
  report.extensions = socket.extensions;
  socket.ping("are you there");
  socket.send(messages[next]);
});
socket.on("pong", (data) => (report.pong = data.toString()));
socket.on("message", (data, isBinary) => {
  const sent = messages[next++];
  const same = isBinary ? Buffer.isBuffer(sent) && data.equals(sent) : data.toString() === sent;
  if (!same) {
    console.error(`message ${next} came back different`);
    process.exit(1);
  }
  report.echoed++;
  if (next < messages.length) socket.send(messages[next]);
  else socket.close(3001, "done");
});
socket.on("close", (code, reason) => {
  console.log(JSON.stringify({ ...report, code, reason: reason.toString() }));
});
socket.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
