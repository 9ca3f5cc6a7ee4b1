// What the client promises, against a socket and a clock of our own: `node --test clients/js/`. No server, no waiting.

import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { connect } from '../client.js';
import { FakeSocket } from './fake_socket.js';

const newest = () => FakeSocket.opened.at(-1);
const open = (options = {}) =>
  connect('http://localhost/ws', { user: 'Ada', WebSocket: FakeSocket, transports: ['websocket'], ...options });
const ofType = (socket, type) => socket.sent.filter((message) => message.type === type);
const ack = (seq, offset) => ({ type: 'ack', seq, roomId: 'lobby', offset, epoch: 'e', time: 1 });
const said = (offset, epoch = 'e') => ({ type: 'room_msg', roomId: 'lobby', offset, epoch, from: 'Ben', content: 'x', time: 1 });

function heard(client, type) {
  const details = [];
  client.addEventListener(type, ({ detail }) => details.push(detail));
  return details;
}

/** What waits for promises alone has gone on. */
const settled = () => new Promise(setImmediate);

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
  first.lets('lobby', 'e-0');
  client.send('lobby', 'kept');
  client.send('lobby', 'lost');
  first.says(ack(1, 1));
  first.drops();
  client.send('lobby', 'written while away');
  mock.timers.tick(1_000);
  newest().welcomes();
  assert.notEqual(newest(), first);
  const query = newest().url.searchParams;
  assert.deepEqual(query.getAll('room'), ['lobby']);
  assert.equal(query.get('since'), 'lobby:e-1');
  assert.equal(query.get('session'), first.url.searchParams.get('session'));
  assert.deepEqual(newest().sent.map(({ type, seq }) => seq ?? type), ['history', 2, 3]);
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
  mock.timers.tick(6_000);
  newest().drops(4003);
  mock.timers.tick(120_000);
  assert.equal(client.state, 'replaced');
  assert.equal(FakeSocket.opened.length, 1);
  client.reconnect();
  assert.equal(FakeSocket.opened.length, 2);
});

test('who has just come and is replaced comes back: it may have been by a request of its own', () => {
  const client = open();
  newest().welcomes();
  newest().drops(4003);
  assert.equal(client.state, 'reconnecting');
  mock.timers.tick(500);
  newest().welcomes();
  assert.equal(client.state, 'live');
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

test('who leaves while the connection goes has left', async () => {
  const client = open({ rooms: ['lobby'] });
  newest().welcomes();
  newest().lets('lobby', 'e-4');
  const left = client.leave('lobby');
  newest().drops();
  client.reconnect();
  newest().welcomes();
  assert.equal((await left).roomId, 'lobby');
  assert.deepEqual(newest().url.searchParams.getAll('room'), []);
  assert.deepEqual(ofType(newest(), 'leave_room'), []);
});

test('a message that is sent again under its seq while it is on its way is one', async () => {
  const client = open();
  newest().welcomes();
  const both = [client.send('lobby', 'x', 'mine'), client.send('lobby', 'x', 'mine')];
  assert.equal(ofType(newest(), 'room_msg').length, 1);
  newest().says(ack('mine', 1));
  assert.deepEqual((await Promise.all(both)).map(({ offset }) => offset), [1, 1]);
});

test('what is no JSON rejects, and is not thrown', async () => {
  const client = open();
  await assert.rejects(client.send('lobby', 1n), TypeError);
  newest().welcomes();
  const kept = client.send('lobby', 'next');
  newest().says(ack(1, 1));
  assert.equal((await kept).offset, 1);
});

test('however much is heard, one timer watches', () => {
  const client = open();
  const first = newest();
  first.welcomes();
  for (let second = 0; second < 29; second += 1) {
    mock.timers.tick(1_000);
    first.says({ type: 'heartbeat' });
  }
  mock.timers.tick(29_000);
  assert.equal(ofType(first, 'heartbeat').length, 0);
  mock.timers.tick(1_000);
  assert.equal(ofType(first, 'heartbeat').length, 1);
  mock.timers.tick(15_000);
  assert.equal(client.state, 'reconnecting');
});

test('a message that no server takes is refused here, and stops nothing', async () => {
  const client = open();
  newest().welcomes();
  await assert.rejects(client.send('lobby', '🌊'.repeat(16_400)), { code: 'too_large' });
  await assert.rejects(client.send('lobby', 'x', Number.NaN), TypeError);
  assert.equal(ofType(newest(), 'room_msg').length, 0);
});

test('rooms that an address has no space for are joined behind it, where they were', async () => {
  const rooms = Array.from({ length: 128 }, (_, index) => `a-room-${index}-00000000-0000-4000-8000-000000000000`);
  const client = open({ rooms, positions: { [rooms[0]]: 'e-7', [rooms[127]]: 'e-9' } });
  assert.ok(newest().url.search.length < 8_000);
  newest().welcomes();
  const joins = ofType(newest(), 'join_room');
  assert.deepEqual(joins.map(({ roomId }) => roomId), rooms);
  assert.deepEqual([joins[0].since, joins[1].since, joins[127].since], ['e-7', undefined, 'e-9']);
  // What was too much at once is asked for again.
  newest().says({ type: 'error', code: 'rate_limited', message: 'Too fast.', id: joins[127].id });
  await settled();
  mock.timers.tick(1_000);
  const again = ofType(newest(), 'join_room').at(-1);
  assert.deepEqual([again.roomId, again.since], [rooms[127], 'e-9']);
  client.close();
});

test('who joins, leaves and joins before there is a connection is in the room', async () => {
  const client = open();
  client.join('lobby').catch(() => {});
  client.leave('lobby');
  client.join('lobby').catch(() => {});
  await settled();
  newest().welcomes();
  newest().lets('lobby', 'e-1');
  newest().drops();
  client.reconnect();
  assert.deepEqual(newest().url.searchParams.getAll('room'), ['lobby']);
});

test('a long backlog behind what may be ours is heard whole', () => {
  const { texts } = comeBackWithOneUnacked();
  for (let offset = 5; offset <= 50_000; offset += 1) newest().says(offset % 8_000 === 5 ? ours(offset) : said(offset));
  newest().says(ack(1, 50_001));
  assert.deepEqual(texts.map(({ offset }) => offset), Array.from({ length: 49_996 }, (_, index) => index + 5));
});

test('what we said is not heard, however much came before its ack', () => {
  const { texts } = comeBackWithOneUnacked();
  newest().says(ours(5));
  for (let offset = 6; offset <= 10_000; offset += 1) newest().says(said(offset));
  newest().says(ack(1, 5));
  assert.deepEqual(texts.map(({ offset }) => offset), Array.from({ length: 9_995 }, (_, index) => index + 6));
});

test('a session that is given may have been used: its numbers are not used again', () => {
  mock.timers.tick(10_000);
  const client = open({ session: 'mine' });
  newest().welcomes();
  client.send('lobby', 'x');
  assert.ok(ofType(newest(), 'room_msg')[0].seq > 1_000_000);
});

test('close is for good, wherever it is called', () => {
  for (const [type, state] of [['welcome', 'live'], ['state', 'connecting'], ['state', 'live']]) {
    const client = open();
    client.on(type, (detail) => (type === 'welcome' || detail.state === state) && client.close());
    if (state === 'live') newest().welcomes();
    else newest().drops();
    mock.timers.tick(60_000);
    if (state === 'live') assert.equal(client.state, 'closed');
    client.close();
    mock.timers.tick(60_000);
    assert.equal(client.state, 'closed');
  }
});

test('a token that has ended already is not fetched without end', async () => {
  let fetched = 0;
  const old = `h.${btoa(JSON.stringify({ exp: 1 }))}.s`;
  open({ token: async () => ((fetched += 1), old) });
  await settled();
  newest().welcomes();
  for (let second = 0; second < 20; second += 1) {
    mock.timers.tick(1_000);
    await settled();
  }
  assert.ok(fetched <= 5, `${fetched} times`);
});

test('an ack of an epoch that is over does not throw the position back', () => {
  const client = open({ rooms: ['lobby'] });
  newest().welcomes();
  newest().lets('lobby', 'f-18');
  client.send('lobby', 'x');
  newest().says({ ...ack(1, 3), dup: true });
  assert.equal(client.position('lobby'), 'f-18');
});

test('a refused room of the address is reported', () => {
  const client = open({ rooms: ['lobby'] });
  const errors = heard(client, 'error');
  newest().welcomes();
  const refusal = { type: 'error', code: 'forbidden', message: 'No.', roomId: 'lobby' };
  newest().says(refusal);
  assert.deepEqual(errors, [refusal]);
});

test('what a room did without us is reported, our own messages are not', () => {
  const client = open({ rooms: ['lobby'] });
  const gaps = heard(client, 'gap');
  newest().welcomes();
  newest().lets('lobby', 'e-4');
  client.send('lobby', 'overtakes');
  newest().says(ack(1, 6));
  assert.equal(client.position('lobby'), 'e-4');
  newest().says(said(5));
  assert.equal(client.position('lobby'), 'e-6');
  for (const position of ['e-6', 'e-9', 'f-2']) {
    newest().drops();
    client.reconnect();
    newest().welcomes();
    newest().lets('lobby', position);
  }
  const told = gaps.map(({ from, to, count }) => [from, to, count]);
  assert.deepEqual(told, [['e-6', 'e-9', 3], ['e-9', 'f-2', null]]);
});

test('after a reconnect it reads on where it was, and nothing is heard twice', () => {
  const client = open({ rooms: ['lobby'] });
  const texts = heard(client, 'room_msg');
  newest().welcomes();
  newest().lets('lobby', 'e-4');
  newest().says(said(5));
  client.send('lobby', 'mine');
  newest().says(ack(1, 6));
  newest().drops();
  client.reconnect();
  newest().welcomes();
  assert.equal(newest().since, 'lobby:e-6');
  for (const offset of [5, 6, 7]) newest().says(said(offset));
  assert.deepEqual(texts.map(({ offset }) => offset), [5, 7]);
});

test('private messages and broadcasts are read on and heard once, too', async () => {
  const client = open();
  const heardPrivate = heard(client, 'private_msg');
  const heardBroadcasts = heard(client, 'broadcast');
  newest().welcomes();
  const { id } = newest().sent.find(({ roomId }) => roomId === '*');
  newest().says({ type: 'history', roomId: '*', messages: [], position: 'e-8', more: false, id });
  await settled();
  const message = (type, offset) => ({ type, offset, epoch: 'e', from: 'Ben', content: 'x', time: 1 });
  newest().says(message('private_msg', 2));
  newest().drops();
  client.reconnect();
  newest().welcomes();
  assert.equal(newest().since, '*:e-8,%40Ada:e-2');
  for (const offset of [2, 3]) newest().says(message('private_msg', offset));
  for (const offset of [9, 9, 10]) newest().says(message('broadcast', offset));
  assert.deepEqual(heardPrivate.map(({ offset }) => offset), [2, 3]);
  assert.deepEqual(heardBroadcasts.map(({ offset }) => offset), [9, 10]);
});

/** Says one message that was transmitted and not acked, and comes back. */
function comeBackWithOneUnacked() {
  const client = open({ rooms: ['lobby'] });
  newest().welcomes();
  newest().lets('lobby', 'e-4');
  const kept = client.send('lobby', 'mine');
  const texts = heard(client, 'room_msg');
  newest().drops();
  client.reconnect();
  newest().welcomes();
  return { kept, texts };
}

const ours = (offset) => ({ ...said(offset), from: 'Ada' });

test('what we said and comes before its ack is not heard, and what is behind it waits', async () => {
  const { kept, texts } = comeBackWithOneUnacked();
  newest().says(said(5));
  newest().says(ours(6));
  newest().says(said(7));
  newest().lets('lobby', 'e-7');
  assert.deepEqual(texts.map(({ offset }) => offset), [5]);
  newest().says(ack(1, 6));
  assert.deepEqual(texts.map(({ offset }) => offset), [5, 7]);
  assert.equal((await kept).offset, 6);
});

test('what another of our connections said is heard once it is known not to be ours', () => {
  const { texts } = comeBackWithOneUnacked();
  newest().says(ours(5));
  newest().says(said(6));
  newest().says(ack(1, 7));
  assert.deepEqual(texts.map(({ offset }) => offset), [5, 6]);
});

test('what will not come any more is reported with the number of its messages', () => {
  const client = open({ rooms: ['lobby'] });
  const gaps = heard(client, 'gap');
  newest().welcomes();
  newest().lets('lobby', 'e-4');
  newest().drops();
  client.reconnect();
  newest().welcomes();
  newest().says({ type: 'gap', roomId: 'lobby', from: 'e-4', to: 'e-9', reason: 'expired' });
  newest().says(said(10));
  newest().lets('lobby', 'e-10');
  newest().says({ type: 'gap', roomId: 'lobby', from: 'e-10', to: 'f-0', reason: 'epoch_changed' });
  assert.deepEqual(gaps.map(({ reason, count }) => [reason, count]), [['expired', 5], ['epoch_changed', null]]);
  assert.equal(client.position('lobby'), 'f-0');
});

test('history is read page by page, from the newest back or from a position on', async () => {
  const client = open();
  newest().welcomes();
  const socket = newest();
  const pages = { newest: [3, 4], 'e-3': [1, 2], 'e-0': [1, 2], 'e-2': [3] };
  socket.send = (text) => {
    const { id, since, before } = JSON.parse(text);
    const offsets = pages[since ?? before ?? 'newest'];
    const more = offsets !== pages['e-3'] && offsets !== pages['e-2'];
    const messages = offsets.map((offset) => said(offset));
    queueMicrotask(() => socket.says({ type: 'history', roomId: 'lobby', messages, position: `e-${offsets.at(-1)}`, more, id }));
  };
  const lobby = client.room('lobby');
  const offsets = [];
  for await (const { offset } of lobby.history()) offsets.push(offset);
  for await (const { offset } of lobby.history({ since: 'e-0' })) offsets.push(offset);
  assert.deepEqual(offsets, [4, 3, 2, 1, 1, 2, 3]);
});

test('a room hears only its own, and its methods need no name', async () => {
  const client = open();
  newest().welcomes();
  const lobby = client.room('lobby');
  assert.equal(client.room('lobby'), lobby);
  const texts = [];
  const off = lobby.on('room_msg', ({ offset }) => texts.push(offset));
  const joined = lobby.join();
  newest().lets('lobby', 'e-0');
  assert.equal((await joined).position, 'e-0');
  newest().says(said(1));
  newest().says({ ...said(1), roomId: 'attic' });
  off();
  newest().says(said(2));
  assert.deepEqual(texts, [1]);
  assert.equal(lobby.position, 'e-2');
});

test('rooms and people may be called as what every object has', async () => {
  const client = open();
  newest().welcomes();
  for (const name of ['__proto__', 'constructor', 'toString', 'error', 'room_msg']) {
    const senders = [];
    const room = client.room(name);
    room.on('room_msg', ({ from }) => senders.push(from));
    const joined = room.join();
    newest().lets(name, 'e-0');
    assert.equal((await joined).position, 'e-0');
    newest().says({ ...said(1), roomId: name, from: name });
    assert.deepEqual(senders, [name]);
    assert.equal(room.position, 'e-1');
  }
});

test('a full queue is told, and when there is room again', () => {
  const client = open({ queueMax: 4 });
  const [full, drained] = [heard(client, 'full'), heard(client, 'drain')];
  newest().welcomes();
  for (const text of [1, 2, 3, 4, 5]) client.send('lobby', text).catch(() => {});
  assert.deepEqual(full, [{ unacked: 4 }]);
  newest().says(ack(1, 1));
  assert.deepEqual(drained, []);
  newest().says(ack(2, 2));
  assert.deepEqual(drained, [{ unacked: 2 }]);
});

test('a token is renewed on the living connection', async () => {
  let count = 0;
  const token = () => `h.${btoa(JSON.stringify({ exp: Date.now() / 1000 + 20, n: (count += 1) }))}.s`;
  open({ token });
  await settled();
  const first = newest();
  first.welcomes();
  mock.timers.tick(18_500);
  await settled();
  assert.equal(newest(), first);
  const [hello] = ofType(first, 'hello');
  assert.equal(JSON.parse(atob(hello.token.split('.')[1])).n, 2);
});

test('a token that cannot be fetched is told, and tried again with the next attempt', async () => {
  let works = false;
  const client = open({ token: async () => (works ? 'good' : Promise.reject(new Error('offline'))) });
  const errors = heard(client, 'error');
  await settled();
  assert.equal(errors[0].code, 'token_failed');
  assert.equal(FakeSocket.opened.length, 0);
  works = true;
  mock.timers.tick(1_000);
  await settled();
  assert.deepEqual(newest().protocols, ['tidewire.v1.json', 'tidewire.token.good']);
  assert.equal(newest().url.searchParams.has('token'), false, 'addresses are logged');
});

test('what is no message is passed over', () => {
  const client = open();
  newest().welcomes();
  newest().onmessage({ data: 'not json' });
  newest().onmessage({ data: 'null' });
  assert.equal(client.state, 'live');
});

const unavailable = (seq) => ({ type: 'error', code: 'unavailable', message: 'Try again later.', seq });

test('what the server cannot keep for now is sent again with its seq: the oldest alone, until that is answered', async () => {
  const client = open();
  const delayed = heard(client, 'delayed');
  newest().welcomes();
  const [one, two] = [client.send('lobby', 'one'), client.send('lobby', 'two')];
  newest().says(unavailable(1));
  newest().says(unavailable(2));
  assert.deepEqual(delayed.map(({ seq }) => seq), [1, 2]);
  const three = client.send('lobby', 'three');
  const sent = () => ofType(newest(), 'room_msg').map(({ seq }) => seq);
  assert.deepEqual(sent(), [1, 2], 'what is new waits behind it');
  for (const [wait, times] of [[1_500, 3], [3_000, 4], [3_000, 5]]) {
    mock.timers.tick(wait - 1);
    assert.equal(sent().length, times - 1);
    mock.timers.tick(1);
    assert.equal(sent().length, times);
    if (times < 5) newest().says(unavailable(1));
  }
  assert.deepEqual(sent(), [1, 2, 1, 1, 1]);
  newest().says({ ...ack(1, 1), dup: true });
  assert.deepEqual(sent(), [1, 2, 1, 1, 1, 2, 3]);
  newest().says(ack(2, 2));
  newest().says(ack(3, 3));
  assert.deepEqual((await Promise.all([one, two, three])).map(({ offset }) => offset), [1, 2, 3]);
  mock.timers.tick(60_000);
  assert.equal(sent().length, 7);
});

test('what was delayed and is there after all is not heard, also where what was said behind it stands before', async () => {
  const client = open({ rooms: ['lobby'] });
  const texts = heard(client, 'room_msg');
  newest().welcomes();
  newest().lets('lobby', 'e-0');
  const [one] = [client.send('lobby', 'one'), client.send('lobby', 'two')];
  newest().says(unavailable(1));
  newest().says(ack(2, 2));
  newest().says(ours(1));
  newest().says(said(3));
  assert.deepEqual(texts, []);
  mock.timers.tick(1_500);
  newest().says({ ...ack(1, 1), dup: true });
  assert.deepEqual(texts.map(({ offset }) => offset), [3]);
  assert.equal((await one).offset, 1);
});

test('who is refused for good after a delay does not hold up what is behind it', async () => {
  const client = open();
  newest().welcomes();
  const refused = client.send('lobby', 'one');
  newest().says(unavailable(1));
  client.send('lobby', 'two');
  mock.timers.tick(1_500);
  newest().says({ type: 'error', code: 'forbidden', message: 'No.', seq: 1 });
  await assert.rejects(refused, { code: 'forbidden' });
  assert.deepEqual(ofType(newest(), 'room_msg').map(({ seq }) => seq), [1, 1, 2]);
});

test('another server is asked at once for what the last could not keep', () => {
  const client = open();
  newest().welcomes();
  client.send('lobby', 'one');
  newest().says(unavailable(1));
  newest().drops();
  mock.timers.tick(250);
  newest().welcomes();
  assert.deepEqual(ofType(newest(), 'room_msg').map(({ seq }) => seq), [1]);
});

test('who loses one of several servers goes on at the next, in the same session and where it was', () => {
  const client = connect(['http://one/ws', 'http://two/ws', 'http://three/ws'], { user: 'Ada', rooms: ['lobby'], WebSocket: FakeSocket, transports: ['websocket'] });
  const hosts = () => FakeSocket.opened.map(({ url }) => url.host);
  newest().welcomes();
  newest().lets('lobby', 'e-7');
  for (let time = 0; time < 3; time += 1) {
    newest().drops();
    mock.timers.tick(client.retryAt - Date.now());
  }
  assert.deepEqual(hosts(), ['two', 'three', 'one', 'two']);
  assert.equal(newest().since, 'lobby:e-7');
  assert.equal(new Set(FakeSocket.opened.map(({ url }) => url.searchParams.get('session'))).size, 1);
});

test('clients begin at any of several servers', () => {
  for (const [number, host] of [[0, 'one'], [0.49, 'one'], [0.5, 'two'], [0.999, 'two']]) {
    mock.method(Math, 'random', () => number);
    connect(['http://one/ws', 'http://two/ws'], { WebSocket: FakeSocket });
    assert.equal(newest().url.host, host);
  }
});

test('all servers are tried before a lesser transport is', () => {
  const tried = [];
  const client = connect(['http://one/ws', 'http://two/ws'], {
    user: 'Ada',
    WebSocket: FakeSocket,
    fetch: (address) => {
      tried.push(`${new URL(address).host} ${new URL(address).pathname}`);
      return new Promise(() => {});
    },
  });
  newest().drops();
  assert.equal(client.transport, 'websocket');
  mock.timers.tick(250);
  assert.deepEqual(FakeSocket.opened.map(({ url }) => url.host), ['two', 'one']);
  newest().drops();
  assert.equal(client.transport, 'sse');
});
