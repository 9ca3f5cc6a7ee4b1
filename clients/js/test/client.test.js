// What the client promises, against a socket and a clock of our own: `node --test clients/js/`. No server, no waiting.

import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { connect } from '../tidewire.js';

/** A socket that keeps what it is given; the test plays the server. */
class FakeSocket {
  static opened = [];

  constructor(url) {
    this.url = new URL(url);
    this.sent = [];
    FakeSocket.opened.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.closedWith = code;
  }

  says(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  drops(code = 1006) {
    this.onclose({ code });
  }

  welcomes() {
    const session = this.url.searchParams.get('session');
    this.says({ type: 'welcome', session, user: 'Ada', msg: 'hi', heartbeat: 30, time: 0 });
  }

  lets(roomId, position) {
    const { id } = this.sent.findLast((message) => message.type === 'join_room' && message.roomId === roomId);
    this.says({ type: 'joined', roomId, position, recovered: false, members: ['Ada'], id });
  }
}

const newest = () => FakeSocket.opened.at(-1);
const open = (options = {}) => connect('http://localhost/ws', { user: 'Ada', WebSocket: FakeSocket, ...options });
const ofType = (socket, type) => socket.sent.filter((message) => message.type === type);
const ack = (seq, offset) => ({ type: 'ack', seq, roomId: 'lobby', offset, epoch: 'e', time: 1 });
const said = (offset, epoch = 'e') => ({ type: 'room_msg', roomId: 'lobby', offset, epoch, from: 'Ben', content: 'x', time: 1 });

function heard(client, type) {
  const details = [];
  client.addEventListener(type, ({ detail }) => details.push(detail));
  return details;
}

beforeEach(() => {
  FakeSocket.opened = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  mock.method(Math, 'random', () => 0.5);
});

test('the address carries the user and a session, and is a WebSocket address', () => {
  open();
  assert.equal(newest().url.protocol, 'ws:');
  assert.equal(newest().url.searchParams.get('userId'), 'Ada');
  assert.match(newest().url.searchParams.get('session'), /^[0-9a-f]{32}$/);
});

test('a send resolves with its ack and rejects with the code of an error', async () => {
  const client = open();
  newest().welcomes();
  const kept = client.send('lobby', 'one');
  const refused = client.send('lobby', 'two');
  newest().says(ack(1, 7));
  newest().says({ type: 'error', code: 'rate_limited', message: 'Too fast.', seq: 2 });
  assert.equal((await kept).offset, 7);
  await assert.rejects(refused, { code: 'rate_limited', message: 'Too fast.' });
});

test('what was not acked is sent again, with the same seq and session, behind the rooms', () => {
  const client = open({ rooms: ['lobby'] });
  const first = newest();
  first.welcomes();
  client.send('lobby', 'kept');
  client.send('lobby', 'lost');
  first.says(ack(1, 1));
  first.drops();
  client.send('lobby', 'written while away');
  mock.timers.tick(1_000);
  newest().welcomes();
  assert.notEqual(newest(), first);
  assert.equal(newest().url.search, first.url.search);
  assert.deepEqual(newest().sent.map(({ type, seq }) => seq ?? type), ['join_room', 2, 3]);
});

test('retries back off to thirty seconds and start again after a steady connection', () => {
  const client = open();
  const delays = [];
  for (let attempt = 0; attempt < 9; attempt += 1) {
    newest().drops();
    delays.push(client.retryAt - Date.now());
    mock.timers.tick(client.retryAt - Date.now());
  }
  assert.deepEqual(delays, [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  newest().welcomes();
  mock.timers.tick(6_000);
  newest().drops();
  assert.equal(client.retryAt - Date.now(), 250);
});

test('a connection that dies at once does not reset the back-off', () => {
  const client = open();
  newest().drops();
  mock.timers.tick(250);
  newest().welcomes();
  newest().drops();
  assert.equal(client.retryAt - Date.now(), 500);
});

test('the server says when to come back', () => {
  const client = open();
  newest().welcomes();
  newest().says({ type: 'reconnect', after: 7_000 });
  newest().drops(1012);
  assert.equal(client.retryAt - Date.now(), 7_000);
  mock.timers.tick(7_000);
  newest().welcomes();
  assert.equal(client.state, 'live');
});

test('a replaced client stays away until it is told to come back', () => {
  const client = open();
  newest().welcomes();
  newest().drops(4003);
  mock.timers.tick(120_000);
  assert.equal(client.state, 'replaced');
  assert.equal(FakeSocket.opened.length, 1);
  client.reconnect();
  assert.equal(FakeSocket.opened.length, 2);
});

test('a silent connection is asked once and given up after one and a half intervals', () => {
  const client = open();
  const first = newest();
  first.welcomes();
  mock.timers.tick(30_000);
  assert.equal(ofType(first, 'heartbeat').length, 1);
  first.says({ type: 'heartbeat' });
  mock.timers.tick(30_000);
  mock.timers.tick(15_000);
  assert.equal(client.state, 'reconnecting');
  assert.equal(first.closedWith, 4009);
});

test('a connection without a welcome is given up', () => {
  const client = open();
  mock.timers.tick(15_000);
  assert.equal(client.state, 'reconnecting');
});

test('an abandoned socket is not listened to', () => {
  const client = open();
  const first = newest();
  first.welcomes();
  first.drops();
  client.reconnect();
  newest().welcomes();
  first.drops(4003);
  assert.equal(client.state, 'live');
});

test('the queue is bounded in messages and in characters', async () => {
  const client = open({ queueMax: 2, queueCharsMax: 1_000 });
  await assert.rejects(client.send('lobby', 'x'.repeat(1_000)), { code: 'queue_full' });
  client.send('lobby', 1);
  client.send('lobby', 2);
  await assert.rejects(client.send('lobby', 3), { code: 'queue_full' });
  newest().welcomes();
  newest().says(ack(1, 1));
  client.send('lobby', 4);
  assert.deepEqual(ofType(newest(), 'room_msg').map(({ seq }) => seq), [1, 2, 3]);
});

test('close rejects what is waiting and opens nothing more', async () => {
  const client = open();
  const waiting = [client.send('lobby', 1), client.join('lobby')];
  client.close();
  for (const promise of waiting) await assert.rejects(promise, { code: 'closed' });
  await assert.rejects(client.send('lobby', 2), { code: 'closed' });
  mock.timers.tick(120_000);
  assert.equal(FakeSocket.opened.length, 1);
});

test('a room asked for while away is joined once, and a room that was left is not', async () => {
  const client = open();
  const refused = client.join('attic');
  client.join('lobby');
  await client.leave('attic');
  await assert.rejects(refused, { code: 'left' });
  newest().welcomes();
  assert.deepEqual(ofType(newest(), 'join_room').map(({ roomId }) => roomId), ['lobby']);
});

test('a refused rejoin is reported', async () => {
  const client = open({ rooms: ['lobby'] });
  const errors = heard(client, 'error');
  newest().welcomes();
  newest().says({ type: 'error', code: 'forbidden', message: 'No.', id: newest().sent[0].id });
  await new Promise(setImmediate);
  assert.deepEqual(errors, [{ type: 'error', code: 'forbidden', message: 'No.', roomId: 'lobby' }]);
});

test('what a room did without us is reported, our own messages are not', () => {
  const client = open({ rooms: ['lobby'] });
  const missed = heard(client, 'missed');
  newest().welcomes();
  newest().lets('lobby', 'e-4');
  client.send('lobby', 'overtakes');
  newest().says(ack(1, 6));
  assert.deepEqual(client.position('lobby'), { epoch: 'e', offset: 4 });
  newest().says(said(5));
  assert.deepEqual(client.position('lobby'), { epoch: 'e', offset: 6 });
  for (const position of ['e-6', 'e-9', 'f-2']) {
    newest().drops();
    client.reconnect();
    newest().welcomes();
    newest().lets('lobby', position);
  }
  assert.deepEqual(missed, [{ roomId: 'lobby', count: 3 }, { roomId: 'lobby', count: null }]);
});

test('after a reconnect it reads on where it was, and nothing is heard twice', () => {
  const client = open({ rooms: ['lobby'] });
  const said_ = heard(client, 'room_msg');
  newest().welcomes();
  newest().lets('lobby', 'e-4');
  newest().says(said(5));
  client.send('lobby', 'mine');
  newest().says(ack(1, 6));
  newest().drops();
  client.reconnect();
  newest().welcomes();
  assert.deepEqual(ofType(newest(), 'join_room').map(({ since }) => since), ['e-6']);
  for (const offset of [5, 6, 7]) newest().says(said(offset));
  assert.deepEqual(said_.map(({ offset }) => offset), [5, 7]);
});

test('what will not come any more is reported with the number of its messages', () => {
  const client = open({ rooms: ['lobby'] });
  const missed = heard(client, 'missed');
  newest().welcomes();
  newest().lets('lobby', 'e-4');
  newest().drops();
  client.reconnect();
  newest().welcomes();
  newest().says({ type: 'gap', roomId: 'lobby', from: 'e-4', to: 'e-9', reason: 'expired' });
  newest().says(said(10));
  newest().lets('lobby', 'e-10');
  newest().says({ type: 'gap', roomId: 'lobby', from: 'e-10', to: 'f-0', reason: 'epoch_changed' });
  assert.deepEqual(missed, [{ roomId: 'lobby', count: 5 }, { roomId: 'lobby', count: null }]);
  assert.deepEqual(client.position('lobby'), { epoch: 'f', offset: 0 });
});

test('what is no message is passed over', () => {
  const client = open();
  newest().welcomes();
  newest().onmessage({ data: 'not json' });
  newest().onmessage({ data: 'null' });
  assert.equal(client.state, 'live');
});
