// Echoes on a free port of loopback, which it prints; prints how each connection ended, as JSON.
// Option: compression (true or false). Ends when its standard input does.
import { WebSocketServer } from "ws";

const perMessageDeflate = process.argv[2] === "true" ? { threshold: 0 } : false;
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate });

server.on("listening", () => console.log(server.address().port));
server.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on("close", (code, reason) => {
    console.log(JSON.stringify({ code, reason: reason.toString() }));
  });
  socket.on("error", (error) => console.error(error.message));
});
process.stdin.resume().on("end", () => process.exit(0));
