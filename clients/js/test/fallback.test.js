// How the client chooses its transport, against sockets, answers and a clock of our own. That the chat works over each of them is
// shown with the real server, in tests/tests/clients/javascript.rs and client_in_chromium.rs.

import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { connect } from '../client.js';
import { FakeSocket } from './fake_socket.js';

const welcome = (url) => ({ type: 'welcome', session: url.searchParams.get('session'), user: 'Ada', heartbeat: 30, time: 0 });

/** What was asked over HTTP: each with `answer(status, body)` or `stream()`, which returns what says something. */
let asked = [];

function fakeFetch(url, { method, headers, body, signal }) {
  return new Promise((resolve, reject) => {
    const request = { url, method, headers, body: body && JSON.parse(body), signal };
    request.answer = (status, value) => resolve(new Response(JSON.stringify(value), { status }));
    request.stream = () => {
      let controller;
      const stream = new ReadableStream({ start: (own) => (controller = own) });
      signal?.addEventListener('abort', () => controller.error(new Error('aborted')));
      resolve(new Response(stream.pipeThrough(new TextEncoderStream())));
      return { says: (message) => controller.enqueue(`data: ${JSON.stringify(message)}\n\n`), ends: () => controller.close() };
    };
    signal?.addEventListener('abort', () => reject(new Error('aborted')));
    asked.push(request);
  });
}

const open = (options = {}) => connect('http://localhost/ws', { user: 'Ada', WebSocket: FakeSocket, fetch: fakeFetch, ...options });
const newest = () => FakeSocket.opened.at(-1);
const requests = (path) => asked.filter(({ url }) => url.pathname === path);

/** What waits for promises alone has gone on. */
async function settled() {
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
}

/** A client whose WebSocket was refused, and whose event stream lives. */
async function byEventStream(options) {
  const client = open(options);
  newest().onclose({ code: 1006 });
  mock.timers.tick(0);
  await settled();
  const [request] = requests('/sse');
  const stream = request.stream();
  stream.says(welcome(request.url));
  await settled();
  return { client, request, stream };
}

beforeEach(() => {
  FakeSocket.opened = [];
  asked = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  mock.method(Math, 'random', () => 0.5);
});

test('a refused WebSocket is followed by an event stream at once', async () => {
  const { client, request } = await byEventStream();
  assert.equal(client.state, 'live');
  assert.equal(client.transport, 'sse');
  assert.equal(request.url.protocol, 'http:');
  assert.equal(request.url.searchParams.get('userId'), 'Ada');
});

test('a stream that nobody lets through is given up after a while, and polls follow', async () => {
  const client = open();
  newest().onclose({ code: 1006 });
  mock.timers.tick(0);
  await settled();
  mock.timers.tick(8_000);
  mock.timers.tick(0);
  await settled();
  const [poll] = requests('/poll');
  assert.equal(poll.url.searchParams.get('timeout'), '1');
  poll.answer(200, { messages: [welcome(poll.url)], position: '' });
  await settled();
  assert.equal(client.transport, 'poll');
  assert.equal(client.state, 'live');
});

test('a link that is closed as it begins opens nothing', async () => {
  const client = open({ transports: ['sse'] });
  client.close();
  await settled();
  assert.equal(requests('/sse').length, 0);
});

test('messages are posted one after the other, with the session and the token', async () => {
  const { client } = await byEventStream({ token: 'jwt' });
  const acks = [client.send('a room', 'one'), client.private('Ben', 'two'), client.broadcast('three')];
  await settled();
  const posts = () => asked.filter(({ method }) => method === 'POST');
  assert.equal(posts().length, 1);
  const answers = [[1, '/api/rooms/a%20room/messages'], [2, '/api/users/Ben/messages'], [3, '/api/broadcast']];
  for (const [seq, path] of answers) {
    const post = posts().at(-1);
    assert.equal(post.url.pathname, path);
    assert.equal(post.headers.authorization, 'Bearer jwt');
    assert.deepEqual([post.body.from, post.body.session, post.body.seq], ['Ada', client.session, seq]);
    post.answer(200, { roomId: 'r', offset: seq, epoch: 'e', dup: false });
    await settled();
  }
  assert.deepEqual((await Promise.all(acks)).map(({ offset }) => offset), [1, 2, 3]);
});

test('a post that is refused rejects with the code; one that fails is tried again', async () => {
  const { client } = await byEventStream();
  const refused = client.send('lobby', 1);
  const kept = client.send('lobby', 2);
  await settled();
  asked.at(-1).answer(507, { error: { code: 'storage_full', message: 'Full.' } });
  await assert.rejects(refused, { code: 'storage_full' });
  await settled();
  asked.at(-1).answer(503, { error: { code: 'overloaded', message: 'Later.' } });
  await settled();
  mock.timers.tick(200);
  await settled();
  asked.at(-1).answer(200, { roomId: 'lobby', offset: 1, epoch: 'e', dup: false });
  assert.equal((await kept).offset, 1);
  assert.equal(client.state, 'live');
});

test('who joins opens a new stream before the older ends, and is no rival of itself', async () => {
  const { client, request, stream } = await byEventStream();
  const joined = client.join('lobby', 'e-3');
  await settled();
  const next = requests('/sse').at(-1);
  assert.notEqual(next, request);
  assert.equal(next.url.searchParams.get('since'), 'lobby:e-3');
  stream.says({ type: 'close', code: 4003, reason: 'a newer connection has this session' });
  await settled();
  assert.equal(client.state, 'live');
  const newer = next.stream();
  newer.says(welcome(next.url));
  newer.says({ type: 'joined', roomId: 'lobby', position: 'e-4', recovered: true, members: ['Ada'] });
  assert.equal((await joined).position, 'e-4');
  assert.ok(request.signal.aborted);
  mock.timers.tick(6_000);
  newer.says({ type: 'close', code: 4003, reason: 'a newer connection has this session' });
  await settled();
  assert.equal(client.state, 'replaced');
});

test('two joins of one room settle both', async () => {
  const { client } = await byEventStream();
  const both = [client.join('lobby'), client.join('lobby')];
  await settled();
  const next = requests('/sse').at(-1);
  const newer = next.stream();
  newer.says(welcome(next.url));
  newer.says({ type: 'joined', roomId: 'lobby', position: 'e-4', recovered: true, members: ['Ada'] });
  assert.deepEqual((await Promise.all(both)).map(({ position }) => position), ['e-4', 'e-4']);
});

test('a join that is refused rejects, and the older stream goes on', async () => {
  const { client, request } = await byEventStream();
  const refused = client.join('@x');
  await settled();
  requests('/sse').at(-1).answer(400, { error: { code: 'bad_name', message: 'No.' } });
  await assert.rejects(refused, { code: 'bad_name' });
  assert.equal(client.state, 'live');
  assert.ok(!request.signal.aborted);
});

test('who leaves before it has joined hears of it', async () => {
  const { client } = await byEventStream();
  const joining = client.join('lobby');
  const left = client.leave('lobby');
  await assert.rejects(joining, { code: 'left' });
  assert.equal((await left).roomId, 'lobby');
});

/** What an earlier page left, in memory. */
function leftBehind(...kept) {
  const box = { items: kept };
  box.load = async () => [...box.items];
  box.put = async (item) => void box.items.push(item);
  box.remove = async ({ session, seq }) => void (box.items = box.items.filter((item) => item.session !== session || item.seq !== seq));
  return box;
}

const old = (seq, user = 'Ada') => ({ session: 'old', seq, user, message: { type: 'room_msg', roomId: 'lobby', content: seq, seq } });

test('what an earlier page of the same user left goes first, under its session', async () => {
  const outbox = leftBehind(old(1), old(2, 'Ben'), old(3));
  const client = open({ outbox });
  client.send('lobby', 'new').catch(() => {});
  newest().welcomes();
  for (const seq of [1, 3]) {
    await settled();
    const post = asked.at(-1);
    assert.deepEqual([post.body.session, post.body.seq, post.body.from], ['old', seq, 'Ada']);
    assert.equal(newest().sent.filter(({ type }) => type === 'room_msg').length, 0);
    post.answer(200, { roomId: 'lobby', offset: seq, epoch: 'e', dup: false });
  }
  await settled();
  assert.equal(newest().sent.filter(({ type }) => type === 'room_msg').length, 1);
  assert.deepEqual(outbox.items.map(({ user, seq }) => [user, seq]), [['Ben', 2], ['Ada', 1]]);
});

test('what cannot be posted is kept, and holds nothing up', async () => {
  const outbox = leftBehind(old(1));
  const client = open({ outbox });
  client.send('lobby', 'new').catch(() => {});
  newest().welcomes();
  await settled();
  asked.at(-1).answer(401, { error: { code: 'unauthorized', message: 'No.' } });
  await settled();
  assert.equal(newest().sent.filter(({ type }) => type === 'room_msg').length, 1);
  assert.equal(outbox.items.length, 2);
});

test('a better transport is tried in a session of its own, and taken when it works', async () => {
  const { client, request } = await byEventStream();
  const tried = FakeSocket.opened.length;
  mock.timers.tick(30_000);
  assert.equal(FakeSocket.opened.length, tried + 1);
  const probe = newest();
  assert.notEqual(probe.url.searchParams.get('session'), client.session);
  assert.equal(probe.url.searchParams.get('userId'), null);
  probe.welcomes();
  assert.equal(probe.closedWith, 1000);
  assert.equal(newest().url.searchParams.get('session'), client.session);
  newest().welcomes();
  assert.equal(client.state, 'live');
  assert.equal(client.transport, 'websocket');
  assert.ok(request.signal.aborted);
});

test('a better transport that does not work is tried later and later', async () => {
  const { client, stream } = await byEventStream();
  const seconds = [];
  const start = Date.now();
  let seen = FakeSocket.opened.length;
  for (let second = 0; second < 250; second += 1) {
    mock.timers.tick(1_000);
    if (second % 10 === 0) stream.says({ type: 'heartbeat' });
    await settled();
    if (FakeSocket.opened.length > seen) {
      seconds.push((Date.now() - start) / 1_000);
      seen = FakeSocket.opened.length;
      newest().onclose({ code: 1006 });
    }
  }
  assert.deepEqual(seconds, [30, 90, 210]);
  assert.equal(client.transport, 'sse');
});

test('what has worked is tried again before a lesser transport is', async () => {
  const client = open();
  newest().welcomes();
  mock.timers.tick(6_000);
  newest().onclose({ code: 1006 });
  mock.timers.tick(500);
  newest().onclose({ code: 1006 });
  mock.timers.tick(2_000);
  assert.equal(FakeSocket.opened.length, 3);
  assert.equal(requests('/sse').length, 0);
  newest().onclose({ code: 1006 });
  mock.timers.tick(0);
  await settled();
  assert.equal(client.transport, 'sse');
  assert.equal(requests('/sse').length, 1);
});

test('without a WebSocket it begins with the event stream', async () => {
  const client = connect('http://localhost/ws', { WebSocket: undefined, fetch: fakeFetch });
  await settled();
  assert.equal(client.transport, globalThis.WebSocket ? 'websocket' : 'sse');
  client.close();
});

test('what an earlier page left and the server cannot keep for now is told, and holds up what is new', async () => {
  const outbox = leftBehind(old(1));
  const client = open({ outbox });
  const delayed = [];
  client.on('delayed', (error) => delayed.push(error));
  client.send('lobby', 'new').catch(() => {});
  newest().welcomes();
  await settled();
  asked.at(-1).answer(503, { error: { code: 'unavailable', message: 'Not now.' } });
  await settled();
  assert.deepEqual(delayed.map(({ code, session, seq }) => [code, session, seq]), [['unavailable', 'old', 1]]);
  assert.equal(newest().sent.filter(({ type }) => type === 'room_msg').length, 0);
  mock.timers.tick(500);
  await settled();
  assert.deepEqual([asked.at(-1).body.session, asked.at(-1).body.seq], ['old', 1]);
  asked.at(-1).answer(200, { roomId: 'lobby', offset: 1, epoch: 'e', dup: true });
  await settled();
  assert.equal(newest().sent.filter(({ type }) => type === 'room_msg').length, 1);
  assert.equal(outbox.items.length, 1, 'what is new');
});

test('a server that cannot keep anything for now is as good as another: the connection stays', async () => {
  const { client } = await byEventStream();
  const states = [];
  client.on('state', ({ state }) => states.push(state));
  const kept = client.send('lobby', 'new');
  await settled();
  asked.at(-1).answer(503, { error: { code: 'unavailable', message: 'Not now.' } });
  await settled();
  mock.timers.tick(2_000);
  await settled();
  const posts = asked.filter(({ body }) => body !== undefined);
  assert.deepEqual(posts.map(({ body }) => body.seq), [1, 1]);
  posts[1].answer(200, { roomId: 'lobby', offset: 1, epoch: 'e', dup: false });
  assert.equal((await kept).offset, 1);
  assert.deepEqual(states, []);
});
