// A TCP proxy that behaves as networks and middleboxes do: it cuts connections after some bytes, refuses WebSocket, holds event streams
// back for ever. What it does can be changed while it runs; connections that are open feel it, too.

import { connect, createServer } from 'node:net';
import { once } from 'node:events';

export class RudeProxy {
  /** Bytes of either direction after which a connection is cut; random ones up to twice as many. 0: never. */
  cutAfter = 0;
  /** `refuse`: a WebSocket handshake is answered with 403. */
  webSocket = 'pass';
  /** `swallow`: a request for an event stream is never answered. */
  eventStream = 'pass';
  /** `swallow`: what the server says does not arrive; `refuse`: nobody gets through. */
  answers = 'pass';
  /** Whose polls have to wait for their answers, by the name in their address; what waits comes when that changes. */
  #heldUp = '';
  /** WebSocket handshakes so far. */
  webSockets = 0;
  cuts = 0;
  /** How each connection is cut, and what goes on with it. */
  #pairs = new Map();
  #server = createServer((client) => this.#accept(client));

  constructor(port) {
    this.port = port;
  }

  /** Returns the address that stands for `http://127.0.0.1:PORT`. */
  async listen() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Holds up the answers to somebody's polls, those that are asked for already, too; '' lets all come. */
  holdUpPollsOf(user) {
    this.#heldUp = user;
    for (const [, goOn] of this.#pairs) goOn();
  }

  /** Cuts every connection that is open. */
  cutAll() {
    for (const cut of this.#pairs.keys()) cut();
  }

  close() {
    this.#server.close();
    this.cutAll();
  }

  #accept(client) {
    if (this.answers === 'refuse') return client.destroy();
    const server = connect(this.port, '127.0.0.1');
    const cut = () => {
      this.#pairs.delete(cut);
      client.destroy();
      server.destroy();
    };
    let isSwallowing = false;
    let asked = '';
    const waiting = [];
    const isHeldUp = () => this.#heldUp !== '' && asked.startsWith('GET /poll?') && asked.includes(`userId=${this.#heldUp}&`);
    const goOn = () => {
      while (waiting.length > 0 && !isHeldUp()) client.write(waiting.shift());
    };
    this.#pairs.set(cut, goOn);
    client.on('data', (chunk) => {
      const head = chunk.toString('latin1');
      const isHandshake = /^upgrade: *websocket/im.test(head);
      if (isHandshake) this.webSockets += 1;
      if (isHandshake && this.webSocket === 'refuse') {
        client.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        return server.destroy();
      }
      isSwallowing ||= this.eventStream === 'swallow' && head.startsWith('GET /sse');
      if (!isSwallowing) server.write(chunk);
      [asked] = head.split('\r\n', 1);
    });
    server.on('data', (chunk) => {
      if (this.answers === 'pass') waiting.push(chunk);
      goOn();
    });
    if (this.cutAfter > 0) {
      let budget = Math.ceil(Math.random() * 2 * this.cutAfter);
      const spend = (chunk) => {
        budget -= chunk.length;
        if (budget > 0) return;
        this.cuts += 1;
        cut();
      };
      client.on('data', spend);
      server.on('data', spend);
    }
    for (const socket of [client, server]) {
      socket.on('error', cut);
      socket.on('close', cut);
    }
  }
}
