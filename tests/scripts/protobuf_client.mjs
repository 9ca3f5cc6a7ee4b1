// The JavaScript client with its codec for Protobuf, in Node, in a room with one that speaks JSON: what each says the other hears, in
// one order, as if there were one language.
//
// Usage: node protobuf_client.mjs (protobuf|json) http://HOST:PORT

import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { connect } from '../../clients/js/client.js';
import { protobuf } from '../../clients/js/client/protobuf.js';

const [expected, url] = process.argv.slice(2);
const CONTENTS = ['hello', 'hé 𝄞', '', 0, -1.5e300, null, true, [1, [2]], { a: { b: '"' } }, { $binary: 'AAECA/8=' }, { $binary: '' }, 'x'.repeat(50_000)];

/** Counts frames of either kind. */
class Counting extends WebSocket {
  static frames = { text: 0, binary: 0 };
  constructor(address, protocols) {
    super(address, protocols);
    this.on('message', (_, isBinary) => (Counting.frames[isBinary ? 'binary' : 'text'] += 1));
  }
}

const ada = connect(new URL('/ws', url), { user: 'ada', transports: ['websocket'], WebSocket: protobuf(Counting) });
const bob = connect(new URL('/ws', url), { user: 'bob', transports: ['websocket'], WebSocket });
const heard = { ada: [], bob: [] };
ada.on('room_msg', (entry) => heard.ada.push(entry));
bob.on('room_msg', (entry) => heard.bob.push(entry));
const [adasRoom, bobsRoom] = [ada.room('r'), bob.room('r')];
assert.deepEqual((await adasRoom.join()).members, ['ada']);
assert.deepEqual((await bobsRoom.join()).members, ['ada', 'bob']);

for (const [number, content] of CONTENTS.entries()) {
  const ack = await (number % 2 ? bobsRoom : adasRoom).send(content);
  assert.equal(ack.offset, number + 1);
  assert.equal(ack.roomId, 'r');
}
const byOffset = (entries) => entries.map(({ offset, content, from, epoch, roomId }) => ({ offset, content, from, epoch, roomId }));
for (const deadline = Date.now() + 20_000; heard.ada.length + heard.bob.length < CONTENTS.length && Date.now() < deadline; ) {
  await new Promise((resolve) => setTimeout(resolve, 20));
}
const page = await ada.history('r');
const same = await bob.history('r');
assert.deepEqual(page.messages, same.messages, 'both languages say the same of a page');
assert.deepEqual(page.messages.map(({ content }) => content), CONTENTS);
for (const [name, entries] of Object.entries(heard)) {
  for (const entry of byOffset(entries)) {
    const kept = byOffset(page.messages).find(({ offset }) => offset === entry.offset);
    assert.deepEqual(entry, kept, `what ${name} heard`);
  }
}
const others = (name) => page.messages.filter(({ from }) => from !== name).map(({ offset }) => offset);
for (const [name, entries] of Object.entries(heard)) {
  const offsets = new Set(entries.map(({ offset }) => offset));
  for (const offset of others(name)) assert.ok(offsets.has(offset), `${name} heard ${offset}`);
}
assert.deepEqual(await adasRoom.presence(), await bobsRoom.presence());
await assert.rejects(ada.send('nowhere', 1), { code: 'not_in_room' });
const { text, binary } = Counting.frames;
assert.ok(expected === 'protobuf' ? text === 0 && binary > CONTENTS.length : binary === 0 && text > CONTENTS.length, `${text} texts, ${binary} binary messages`);
ada.close();
bob.close();
