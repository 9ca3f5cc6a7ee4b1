// node socketio.js relay PORT
//
// A room on socket.io: what anybody says goes to everybody, the sender too.

import { createServer } from "node:http";
import { Server } from "socket.io";

const port = process.argv[3];
const server = createServer();
const sockets = new Server(server, {
  transports: ["websocket"],
  serveClient: false,
  maxHttpBufferSize: 128 << 20,
});

sockets.on("connection", (socket) => {
  socket.on("m", (content) => sockets.emit("m", content));
});

server.listen({ host: "127.0.0.1", port: Number(port), backlog: 4096 });
