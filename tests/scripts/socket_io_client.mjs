// socket.io-client, as it comes from npm, in a room with a client that speaks the chat's own JSON: by polling, by WebSocket, and by
// the upgrade from the one to the other.
//
// Usage: node socket_io_client.mjs TASK (polling|websocket|upgrade) http://HOST:PORT [http://PROXY]
// TASK is a function below. Those that come by a proxy print `cut` when it is to cut them off, `gone` when it has, and wait for a
// line.

import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { io } from 'socket.io-client';
import WebSocket from 'ws';

const [task, transport, url, via] = process.argv.slice(2);
const TRANSPORTS = { polling: ['polling'], websocket: ['websocket'], upgrade: ['polling', 'websocket'] };
const sockets = [];

function open(userId, options = {}, at = url) {
  const socket = io(at, { transports: TRANSPORTS[transport], auth: { userId }, forceNew: true, reconnectionDelay: 50, ...options });
  sockets.push(socket);
  return socket;
}

/** The next event of a name, or one for which `fits` holds. */
const once = (socket, name, fits = () => true) =>
  new Promise((resolve) => {
    const hear = (...args) => {
      if (!fits(...args)) return;
      socket.off(name, hear);
      resolve(args[0]);
    };
    socket.on(name, hear);
  });

const say = (socket, ...args) => socket.timeout(30_000).emitWithAck(...args);

/** Over which transport it goes, once that is settled. */
async function settled(socket) {
  const engine = socket.io.engine;
  if (transport === 'upgrade' && engine.transport.name !== 'websocket') {
    await new Promise((resolve) => engine.once('upgrade', resolve));
  }
  assert.equal(engine.transport.name, transport === 'polling' ? 'polling' : 'websocket');
}

/** A client of the chat's own JSON. */
async function jsonClient(user, room) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws?userId=${user}&room=${room}`);
  const heard = [];
  const waiting = [];
  socket.on('message', (data) => {
    heard.push(JSON.parse(data));
    waiting.forEach((look) => look());
  });
  const find = (fits) =>
    new Promise((resolve) => {
      const look = () => {
        const found = heard.find(fits);
        if (found) resolve(found);
      };
      waiting.push(look);
      look();
    });
  await find((message) => message.type === 'joined');
  return { socket, find, send: (message) => socket.send(JSON.stringify(message)) };
}

async function chat() {
  const ada = open('ada');
  const welcome = await once(ada, 'welcome');
  assert.equal(welcome.user, 'ada');
  assert.deepEqual((await say(ada, 'join', 'r')).members, ['ada']);
  const adas = [];
  ada.on('msg', (message) => adas.push(message));
  const joins = once(ada, 'join');
  const json = await jsonClient('bob', 'r');
  assert.deepEqual(await joins, { room: 'r', user: 'bob' });

  json.send({ type: 'room_msg', roomId: 'r', content: { hello: ['ä', 1.50] }, seq: 1 });
  const heard = await once(ada, 'msg');
  assert.deepEqual([heard.room, heard.from, heard.content, heard.offset], ['r', 'bob', { hello: ['ä', 1.5] }, 1]);
  await settled(ada);

  const ack = await say(ada, 'msg', 'r', 'hello bob');
  assert.deepEqual([ack.room, ack.offset, ack.epoch], ['r', 2, heard.epoch]);
  assert.equal((await json.find((message) => message.content === 'hello bob')).offset, 2);
  // As io.to(room).emit does it: the sender gets it, too.
  if (adas.length < 2) await once(ada, 'msg');
  assert.deepEqual(adas.map((message) => message.offset), [1, 2]);
  assert.equal((await say(ada, 'msg', { room: 'r', content: null })).offset, 3);

  json.send({ type: 'typing', roomId: 'r' });
  assert.deepEqual(await once(ada, 'typing'), { room: 'r', user: 'bob' });
  assert.deepEqual(await say(ada, 'typing', 'r'), {});
  assert.equal((await json.find((message) => message.type === 'typing')).user, 'ada');

  const page = await say(ada, 'history', 'r', { limit: 2 });
  assert.deepEqual([page.messages.map((message) => message.content), page.more], [['hello bob', null], true]);
  assert.deepEqual((await say(ada, 'presence', 'r')).members, ['ada', 'bob']);

  assert.equal((await say(ada, 'private', 'bob', 'psst')).room, undefined);
  assert.equal((await json.find((message) => message.type === 'private_msg')).from, 'ada');
  json.send({ type: 'private_msg', toUser: 'ada', content: 'what?', seq: 2 });
  assert.deepEqual((await once(ada, 'private')).content, 'what?');
  const shout = once(ada, 'broadcast');
  await say(ada, 'broadcast', 'all of you');
  assert.equal((await shout).content, 'all of you');
  assert.equal((await json.find((message) => message.type === 'broadcast')).content, 'all of you');

  const many = Array.from({ length: 50 }, (_, n) => say(ada, 'msg', 'r', { n }));
  const offsets = (await Promise.all(many)).map((answer) => answer.offset);
  assert.deepEqual(offsets, offsets.map((_, n) => offsets[0] + n));
  assert.deepEqual(await say(ada, 'leave', 'r'), { room: 'r' });
  const parted = await json.find((message) => message.type === 'system' && message.event === 'leave');
  assert.equal(parted.user, 'ada');
  json.socket.close();
}

async function binary() {
  const [ada, bob] = [open('ada'), open('bob')];
  await Promise.all([say(ada, 'join', 'r'), say(bob, 'join', 'r')]);
  await settled(ada);
  const bytes = Buffer.from([0, 1, 2, 255]);
  let heard = once(bob, 'msg');
  assert.equal((await say(ada, 'msg', 'r', bytes)).offset, 1);
  assert.deepEqual(Buffer.from((await heard).content), bytes);
  heard = once(bob, 'msg');
  await say(ada, 'msg', 'r', { name: 'x.png', parts: [bytes, new Uint8Array(0)] });
  const { content } = await heard;
  assert.deepEqual([content.name, content.parts.map((part) => Buffer.from(part))], ['x.png', [bytes, Buffer.alloc(0)]]);
  const page = await say(bob, 'history', 'r');
  assert.deepEqual(Buffer.from(page.messages[0].content), bytes);

  const json = await jsonClient('carl', 'r');
  json.send({ type: 'room_msg', roomId: 'r', content: { $binary: 'AAEC/w==' }, seq: 1 });
  assert.deepEqual(Buffer.from((await once(bob, 'msg')).content), bytes);
  await say(ada, 'msg', 'r', bytes);
  assert.deepEqual((await json.find((message) => message.from === 'ada')).content, { $binary: 'AAEC/w==' });
  json.socket.close();
}

async function refusals() {
  const custom = io(`${url}/custom`, { transports: TRANSPORTS[transport], forceNew: true });
  sockets.push(custom);
  assert.equal((await once(custom, 'connect_error')).message, 'Invalid namespace');
  const nobody = open('x'.repeat(200));
  const error = await once(nobody, 'connect_error');
  assert.equal(error.data.code, 'bad_name', error.message);

  const ada = open('ada');
  for (const [event, code] of [
    [['msg', 'nowhere', 1], 'not_in_room'],
    [['msg', 'r'], 'missing_field'],
    [['join', '@bob'], 'bad_name'],
    [['history', '@bob'], 'forbidden'],
    [['dance'], 'unknown_type'],
    [['private', 'bob', 1, { a: 1 }], 'bad_field'],
  ]) {
    const { error } = await say(ada, ...event);
    assert.equal(error?.code, code, `${event}`);
    assert.match(error.message, /\.$/);
  }
  const told = once(ada, 'error');
  ada.emit('leave', 'nowhere');
  assert.equal((await told).code, 'not_in_room');
}

async function keys() {
  const ada = open('ada');
  await say(ada, 'join', 'r');
  const first = await say(ada, 'msg', 'r', 'once', 'my-key');
  assert.equal(first.dup, undefined);
  const again = await say(ada, 'msg', 'r', 'once', 'my-key');
  assert.deepEqual([again.offset, again.dup], [first.offset, true]);
  // A new connection of the same client: its key holds, and what has none is new.
  await say(ada, 'msg', 'r', 'without a key');
  ada.io.engine.close();
  await once(ada, 'connect');
  const later = await say(ada, 'msg', 'r', 'once', 'my-key');
  assert.deepEqual([later.offset, later.dup], [first.offset, true]);
  if (!ada.recovered) await say(ada, 'join', 'r');
  assert.equal((await say(ada, 'msg', 'r', 'without a key')).offset, 3);
}

async function names() {
  const ada = open('ada');
  await say(ada, 'enter', 'r');
  const heard = once(ada, 'chat message');
  ada.emit('chat message', 'r', 'hello');
  assert.equal((await heard).content, 'hello');
  assert.equal((await say(ada, 'join', 'r')).error.code, 'unknown_type');
}

async function recovery() {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const ada = open('ada', { reconnection: false }, via);
  const bob = open('bob', { transports: ['websocket'] });
  const heard = [];
  for (const name of ['msg', 'private', 'broadcast']) ada.on(name, (message) => heard.push(message.content));
  const has = async (content) => {
    while (!heard.includes(content)) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  await Promise.all([say(ada, 'join', 'a'), say(ada, 'join', 'b'), say(bob, 'join', 'a'), say(bob, 'join', 'b')]);
  await say(bob, 'msg', 'a', 1);
  await has(1);
  await settled(ada);
  assert.ok(!ada.recovered);

  for (const first of [2, 8]) {
    const cut = once(ada, 'disconnect');
    console.log('cut');
    await cut;
    console.log('gone');
    await lines.next();
    for (const [room, n] of [['a', 0], ['b', 1], ['a', 2], ['b', 3]]) await say(bob, 'msg', room, first + n);
    await say(bob, 'broadcast', first + 4);
    await say(bob, 'private', 'ada', first + 5);
    const back = once(ada, 'connect');
    ada.connect();
    await back;
    assert.equal(ada.recovered, true);
    await has(first + 4);
    await has(first + 5);
  }
  assert.deepEqual(heard.toSorted((a, b) => a - b), Array.from({ length: 13 }, (_, n) => n + 1), 'each once');
  assert.deepEqual((await say(ada, 'presence', 'a')).members, ['ada', 'bob']);
  assert.deepEqual((await say(ada, 'msg', 'b', 'still there')).room, 'b');
}

/** What it missed is not kept any more. */
async function gap() {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const ada = open('ada', { reconnection: false }, via);
  const bob = open('bob', { transports: ['websocket'] });
  const gaps = [];
  ada.on('gap', (told) => gaps.push(told));
  await Promise.all([say(ada, 'join', 'a'), say(bob, 'join', 'a')]);
  await say(bob, 'msg', 'a', 1);
  const cut = once(ada, 'disconnect');
  console.log('cut');
  await cut;
  console.log('gone');
  await lines.next();
  for (let n = 0; n < 10; n += 1) await say(bob, 'msg', 'a', n);
  const back = once(ada, 'connect');
  ada.connect();
  await back;
  assert.equal(ada.recovered, false);
  assert.equal(gaps[0]?.room, 'a');
  const again = await say(ada, 'join', 'a');
  assert.deepEqual(again.members, ['ada', 'bob']);
}

await { chat, binary, refusals, keys, names, recovery, gap }[task]();
sockets.forEach((socket) => socket.close());
console.log('done');
process.exit(0);
