// What tabs that share a connection promise each other, against locks, a channel, sockets and a clock of our own. That they share
// in a real browser is shown in tests/tests/clients/in_chromium.rs.

import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { connect } from '../client/shared.js';
import { FakeSocket } from './fake_socket.js';

/** Web Locks: each name has one holder, and who asks later waits. */
class FakeLocks {
  #last = new Map();

  async request(name, { signal }, hold) {
    const before = this.#last.get(name);
    let release;
    this.#last.set(name, new Promise((resolve) => (release = resolve)));
    await before;
    if (!signal.aborted) await hold();
    release();
  }
}

class FakeChannel {
  static open = new Set();

  constructor(name) {
    this.name = name;
    FakeChannel.open.add(this);
  }

  postMessage(data) {
    for (const other of FakeChannel.open) {
      if (other === this || other.name !== this.name) continue;
      const copy = structuredClone(data);
      setImmediate(() => FakeChannel.open.has(other) && other.onmessage({ data: copy }));
    }
  }

  close() {
    FakeChannel.open.delete(this);
  }
}

const open = (options = {}) => connect('http://localhost/ws', { user: 'Ada', WebSocket: FakeSocket, transports: ['websocket'], ...options });
const newest = () => FakeSocket.opened.at(-1);

async function settled() {
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
}

/** The tab that has the lock has its connection. */
async function connected() {
  await settled();
  mock.timers.tick(200);
  newest().welcomes();
  await settled();
}

/** Acknowledges all that a socket is given, until nothing comes; returns it. */
async function acknowledgesAll(socket) {
  const contents = [];
  let seen = 0;
  for (let before = -1; before < socket.sent.length; await settled()) {
    before = socket.sent.length;
    for (const { type, seq, roomId, content } of socket.sent.slice(seen)) {
      if (type !== 'room_msg') continue;
      contents.push(content);
      socket.says({ type: 'ack', seq, roomId, offset: contents.length, epoch: 'e', time: 1 });
    }
    seen = before;
  }
  return contents;
}

beforeEach(() => {
  FakeSocket.opened = [];
  FakeChannel.open.clear();
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  Object.defineProperty(globalThis, 'navigator', { value: { locks: new FakeLocks() }, configurable: true });
  globalThis.BroadcastChannel = FakeChannel;
});

/** What becomes of it is looked at later. */
function say(tab, content) {
  const said = tab.send('lobby', content);
  said.catch(() => {});
  return said;
}

const refusals = (settledAll) => settledAll.filter(({ status }) => status === 'rejected').map(({ reason }) => reason.code);
const numbers = (from, to) => Array.from({ length: to - from }, (_, index) => from + index);

test('what was asked of a tab that is gone is asked of the next in portions, in order', async () => {
  const first = open();
  await connected();
  const [second, third] = [open(), open()];
  await settled();
  const said = numbers(0, 60).flatMap((n) => [say(second, `second ${n}`), say(third, `third ${n}`)]);
  await settled();
  assert.equal(newest().sent.filter(({ type }) => type === 'room_msg').length, 120);
  first.close();
  // Nobody has the connection.
  said.push(...numbers(60, 150).flatMap((n) => [say(second, `second ${n}`), say(third, `third ${n}`)]));
  await connected();
  assert.equal(FakeSocket.opened.length, 2);
  // What is said behind that stays behind it.
  said.push(say(second, 'second 150'), say(third, 'third 150'));
  const contents = await acknowledgesAll(newest());
  assert.deepEqual(refusals(await Promise.allSettled(said)), []);
  for (const name of ['second', 'third']) {
    const own = contents.filter((content) => content.startsWith(name));
    assert.deepEqual(own, numbers(0, 151).map((n) => `${name} ${n}`));
  }
  second.close();
  third.close();
});

test('portions have as many characters as a client keeps', async () => {
  const tab = open({ queueCharsMax: 1_000 });
  const said = numbers(0, 20).map((n) => say(tab, `${n} ${'x'.repeat(100)}`));
  await connected();
  const contents = await acknowledgesAll(newest());
  assert.deepEqual(refusals(await Promise.allSettled(said)), []);
  assert.deepEqual(contents.map((content) => parseInt(content)), numbers(0, 20));
  tab.close();
});

test('a tab that nobody answers keeps so much and no more', async () => {
  const tab = open();
  const said = numbers(0, 1_025).map((n) => say(tab, n));
  await assert.rejects(said.at(-1), { code: 'queue_full' });
  tab.close();
  assert.deepEqual(new Set(refusals(await Promise.allSettled(said))), new Set(['closed', 'queue_full']));
});

test('more than a client keeps is refused where nothing waits', async () => {
  const tab = open({ queueMax: 4 });
  await connected();
  const said = numbers(0, 6).map((n) => say(tab, n));
  await settled();
  await acknowledgesAll(newest());
  assert.deepEqual(refusals(await Promise.allSettled(said)), ['queue_full', 'queue_full']);
  tab.close();
});
