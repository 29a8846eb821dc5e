// The peer `ws` on Node.js: echoes, or tells everyone what one says.
// Arguments: mode ("echo" or "bcast"), and the folder of the package.
const [mode, folder] = process.argv.slice(2);
const { WebSocketServer } = require(folder);

const limit = 2 ** 24;
const server = new WebSocketServer({
  host: "127.0.0.1", port: 0, backlog: 1024, perMessageDeflate: false, maxPayload: limit,
});

function echo(socket) {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
}

function bcast(socket) {
  socket.send("joined");
  socket.on("message", (data, binary) => {
    for (const member of server.clients) member.send(data, { binary });
  });
}

server.on("connection", mode === "bcast" ? bcast : echo);
server.on("listening", () => {
  const version = `ws ${require(`${folder}/package.json`).version} on Node.js ${process.versions.node}`;
  console.log(JSON.stringify({ port: server.address().port, version }));
});
process.stdin.resume().on("end", () => process.exit(0));
