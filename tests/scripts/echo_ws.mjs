// The echo endpoint, seen by Node's `ws`: every size and kind of message comes back as it was sent.
// Usage: node echo_ws.mjs ws://HOST:PORT/echo

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import WebSocket from 'ws';

const url = process.argv[2];

// 16 MiB in one frame must come back, so our own limit is above it. Compression is offered, as `ws` does by
// default, and the server is free to decline it.
async function open(options = {}) {
  const socket = new WebSocket(url, { maxPayload: 64 * 1024 * 1024, ...options });
  await once(socket, 'open');
  return socket;
}

async function roundTrip(socket, data) {
  const echo = once(socket, 'message');
  socket.send(data);
  const [payload, isBinary] = await echo;
  assert.equal(isBinary, typeof data !== 'string', 'the kind of message');
  assert.ok(Buffer.from(data).equals(payload), `${Buffer.byteLength(data)} bytes came back changed`);
}

const sizes = [0, 1, 125, 126, 127, 65535, 65536, 65537, 1024 * 1024, 16 * 1024 * 1024];

async function everySize() {
  const socket = await open();
  for (const size of sizes) {
    await roundTrip(socket, randomBytes(size));
    // Text of exactly this many bytes, with characters of two and four bytes in it.
    const start = size >= 6 ? 'é𝄞' : '';
    await roundTrip(socket, start + 'x'.repeat(size - Buffer.byteLength(start)));
  }
  socket.close();
  await once(socket, 'close');
}

async function fragments() {
  const socket = await open({ perMessageDeflate: false });
  const echo = once(socket, 'message');
  socket.send('Hel', { fin: false });
  socket.ping('between');
  socket.send('', { fin: false });
  socket.send('lo, ', { fin: false });
  socket.send('wörld', { fin: true });
  const [[pong], [message, isBinary]] = await Promise.all([once(socket, 'pong'), echo]);
  assert.equal(pong.toString(), 'between');
  assert.equal(isBinary, false);
  assert.equal(message.toString(), 'Hello, wörld');

  const binary = once(socket, 'message');
  for (let index = 0; index < 100; index += 1) {
    socket.send(Buffer.alloc(1000, index), { fin: index === 99, binary: true });
  }
  const [payload] = await binary;
  assert.equal(payload.length, 100_000);
  for (let index = 0; index < 100; index += 1) assert.equal(payload[index * 1000 + 500], index);
  socket.terminate();
}

async function pings() {
  const socket = await open();
  for (const payload of ['', 'x', 'p'.repeat(125), randomBytes(125)]) {
    const pong = once(socket, 'pong');
    socket.ping(payload);
    assert.ok(Buffer.from(payload).equals((await pong)[0]), 'a pong carries the payload of its ping');
  }
  // A pong that nobody asked for is no reason to do anything.
  socket.pong('unasked');
  await roundTrip(socket, 'still here');
  socket.terminate();
}

async function closeCodes() {
  const reasons = ['', 'bye', 'ü'.repeat(61), 'r'.repeat(123)];
  for (const code of [1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]) {
    for (const reason of reasons) {
      const socket = await open();
      const closed = once(socket, 'close');
      socket.close(code, reason);
      const [answer] = await closed;
      assert.equal(answer, code, `the server echoes close code ${code}`);
    }
  }
  const socket = await open();
  const closed = once(socket, 'close');
  socket.close();
  assert.equal((await closed)[0], 1005, 'an empty close frame is answered by an empty one');
}

async function manyInOrder() {
  const socket = await open();
  const count = 5000;
  let next = 0;
  const done = new Promise((resolve, reject) => {
    socket.on('message', (payload) => {
      if (payload.toString() !== `message ${next}`) reject(new Error(`got ${payload} instead of message ${next}`));
      next += 1;
      if (next === count) resolve();
    });
  });
  for (let index = 0; index < count; index += 1) socket.send(`message ${index}`);
  await done;
  socket.terminate();
}

for (const step of [everySize, fragments, pings, closeCodes, manyInOrder]) {
  console.log(step.name);
  await step();
}
console.log('done');
