// node ws.js echo|relay PORT [deflate]
//
// A server on `ws`, with the native `bufferutil` that its README recommends for masks.

import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const [mode, port, compression] = process.argv.slice(2);

// Each message by itself, as for the other servers, and also the short ones.
const eachByItself = {
  clientNoContextTakeover: true,
  serverNoContextTakeover: true,
  threshold: 0,
};

const server = createServer();
const sockets = new WebSocketServer({
  server,
  maxPayload: 128 << 20,
  clientTracking: mode === "relay",
  perMessageDeflate: compression === "deflate" ? eachByItself : false,
});

const echo = (socket) => (data, isBinary) => socket.send(data, { binary: isBinary });

const relay = () => (data, isBinary) => {
  for (const client of sockets.clients) {
    client.send(data, { binary: isBinary });
  }
};

sockets.on("connection", (socket) => {
  // A connection that fails is one that ends.
  socket.on("error", () => {});
  socket.on("message", mode === "echo" ? echo(socket) : relay());
});

server.listen({ host: "127.0.0.1", port: Number(port), backlog: 4096 });
