// Clients of a server that is behind nginx with TLS.
// Usage: node behind_nginx.mjs SCENARIO HOST:PORT PLAIN_HOST:PORT CERTIFICATE

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import WebSocket from 'ws';

const [scenario, address, plain, certificate] = process.argv.slice(2);
const ca = readFileSync(certificate);

/** A chat client that keeps what it hears. */
class Chatter {
  heard = [];
  code = null;

  static async arrive(user, query = '', options = {}) {
    const chatter = new Chatter();
    chatter.socket = new WebSocket(`wss://${address}/ws?userId=${user}&${query}`, { ca, ...options });
    chatter.socket.on('message', (data) => chatter.heard.push(JSON.parse(data)));
    chatter.socket.on('close', (code) => (chatter.code = code));
    await once(chatter.socket, 'open');
    await chatter.hears(({ type }) => type === 'welcome');
    return chatter;
  }

  say(message) {
    this.socket.send(JSON.stringify(message));
  }

  async hears(wanted) {
    return until(() => this.heard.find(wanted));
  }

  async isClosed() {
    return until(() => this.code);
  }
}

/** A follower of the harbour by a WebSocket that comes back with its position. */
function followBySocket(user) {
  const follower = { user, heard: [], arrivals: 0, isThere: false };
  let since = null;
  const arrive = () => {
    const position = since ? `&since=${since}` : '';
    const socket = new WebSocket(`wss://${address}/ws?userId=${user}&room=harbour${position}`, { ca });
    socket.on('message', (data) => {
      const message = JSON.parse(data);
      assert.notEqual(message.type, 'gap', data);
      if (message.type === 'joined') {
        follower.arrivals += 1;
        follower.isThere = true;
        since ??= `${message.epoch}-${message.offset}`;
      }
      if (message.type !== 'room_msg') return;
      follower.heard.push(message.content);
      since = `${message.epoch}-${message.offset}`;
    });
    socket.on('error', () => {});
    socket.on('close', () => setTimeout(arrive, 50));
  };
  arrive();
  return follower;
}

/** A follower by an event stream of the chat, which comes back with its position. */
function followByEvents(user) {
  const follower = { user, heard: [], arrivals: 0, isThere: false };
  let since = null;
  const arrive = () => {
    const position = since ? `&since=${since}` : '';
    const path = `https://${address}/sse?userId=${user}&session=${user}&room=harbour${position}`;
    const request = https.get(path, { ca }, (events) => {
      let text = '';
      if (events.statusCode === 200) follower.arrivals += 1;
      events.on('data', (chunk) => {
        text += chunk;
        const blocks = text.split('\n\n');
        text = blocks.pop();
        for (const block of blocks) {
          const data = block.split('\n').find((line) => line.startsWith('data: '));
          const message = JSON.parse(data?.slice('data: '.length) ?? 'null');
          assert.notEqual(message?.type, 'gap', block);
          if (message?.type === 'joined') {
            follower.isThere = true;
            since ??= `${message.epoch}-${message.offset}`;
          }
          if (message?.type === 'room_msg') {
            follower.heard.push(message.content);
            since = `${message.epoch}-${message.offset}`;
          }
        }
      });
      events.on('error', () => {});
      events.on('close', () => setTimeout(arrive, 50));
    });
    request.on('error', () => setTimeout(arrive, 50));
  };
  arrive();
  return follower;
}

/** A follower by polls, each of which may be answered by another node. */
function followByPolls(user) {
  const follower = { user, heard: [], arrivals: 0, isThere: false };
  let since = '';
  (async () => {
    for (;;) {
      const path = `/poll?userId=${user}&session=${user}&room=harbour&timeout=5${since}`;
      const answer = await ask('GET', path).catch(() => ({ status: 0 }));
      if (answer.status !== 200) {
        await pause(50);
        continue;
      }
      const { position, messages } = JSON.parse(answer.body);
      since = `&since=${position}`;
      follower.arrivals += Number(!follower.isThere);
      follower.isThere = true;
      for (const { type, content } of messages) {
        assert.notEqual(type, 'gap');
        if (type === 'room_msg') follower.heard.push(content);
      }
    }
  })();
  return follower;
}

async function untilAsync(what) {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await what()) return;
    await pause(50);
  }
  throw new Error(`waited in vain: ${what}`);
}

async function until(what) {
  for (let tries = 0; tries < 3_000; tries += 1) {
    const found = what();
    if (found) return found;
    await pause(10);
  }
  throw new Error(`waited in vain: ${what}`);
}

/** A request; the answer's status, headers and body. */
async function ask(method, path, { body, headers = {} } = {}) {
  const request = https.request(`https://${address}${path}`, { method, ca, headers });
  request.end(body);
  const [response] = await once(request, 'response');
  const chunks = [];
  for await (const chunk of response) chunks.push(chunk);
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) };
}

const scenarios = {
  async everything() {
    const ada = await Chatter.arrive('ada', 'room=harbour');
    const linus = await Chatter.arrive('linus', 'room=harbour');
    ada.say({ type: 'room_msg', roomId: 'harbour', content: 'Ahoy', seq: 1 });
    const { offset, epoch } = await ada.hears(({ type, seq }) => type === 'ack' && seq === 1);
    await linus.hears(({ type, content }) => type === 'room_msg' && content === 'Ahoy');

    // Gone and back: it goes on where it was.
    linus.socket.terminate();
    ada.say({ type: 'room_msg', roomId: 'harbour', content: 'Are you there?', seq: 2 });
    await ada.hears(({ type, seq }) => type === 'ack' && seq === 2);
    const again = await Chatter.arrive('linus', `room=harbour&since=${epoch}-${offset}`);
    await again.hears(({ type, content }) => type === 'room_msg' && content === 'Are you there?');

    // An event arrives when it is sent, and not when a buffer is full.
    const stream = https.get(`https://${address}/sse?room=harbour`, { ca });
    const [events] = await once(stream, 'response');
    assert.equal(events.headers['content-type'].split(';')[0], 'text/event-stream');
    let text = '';
    events.on('data', (chunk) => (text += chunk));
    await until(() => text.length > 0);
    const headers = { 'content-type': 'application/json' };
    const posted = await ask('POST', '/api/rooms/harbour/messages', { headers, body: '{"content":"by post","from":"dan"}' });
    assert.equal(posted.status, 200, String(posted.body));
    await until(() => text.includes('by post'));
    await again.hears(({ content }) => content === 'by post');
    stream.destroy();

    // A file, there and back.
    const file = randomBytes(2 << 20);
    const sent = await ask('POST', '/api/files', { headers: { 'content-type': 'application/octet-stream' }, body: file });
    assert.equal(sent.status, 201, String(sent.body));
    const { url } = JSON.parse(sent.body);
    const fetched = await ask('GET', new URL(url, `https://${address}`).pathname);
    assert.ok(fetched.body.equals(file), `${fetched.status}, ${fetched.body.length} bytes`);

    // What is the operator's is not passed on, however it is written.
    for (const path of ['/admin', '/admin/main.js', '/api/admin', '/api/admin/why?user=ada', '/api/%61dmin/why', '//api//admin%2Fwhy']) {
      const answer = await ask('GET', path);
      assert.equal(answer.status, 404, path);
      assert.match(answer.headers.server, /nginx/);
      assert.match(String(answer.body), /<center>nginx/, `${path} is answered by nginx itself`);
    }

    // Who comes without TLS is sent to it.
    const [redirect] = await once(http.get(`http://${plain}/?room=harbour`), 'response');
    assert.equal(redirect.statusCode, 308);
    assert.match(redirect.headers.location, /^https:\/\/[^/]+\/\?room=harbour$/);
  },

  // What only one of two nodes has: files, and who is at the relay.
  async at_one_node() {
    const file = randomBytes(1000);
    const sent = await ask('POST', '/api/files', { headers: { 'content-type': 'application/octet-stream' }, body: file });
    assert.equal(sent.status, 201, String(sent.body));
    const { url } = JSON.parse(sent.body);
    const sockets = [];
    for (let time = 0; time < 6; time += 1) {
      const fetched = await ask('GET', new URL(url, `https://${address}`).pathname);
      assert.ok(fetched.status === 200 && fetched.body.equals(file), `${fetched.status}`);
      const socket = new WebSocket(`wss://${address}/relay?room=r`, { ca });
      await once(socket, 'open');
      sockets.push(socket);
    }
    const [first, ...others] = sockets;
    const heard = Promise.all(others.map((socket) => once(socket, 'message')));
    // Who has just come is in the room when a ping is answered.
    await Promise.all(others.map((socket) => (socket.ping(), once(socket, 'pong'))));
    first.send('hello');
    for (const [data] of await heard) assert.equal(String(data), 'hello');
  },

  // Two nodes that share a log, without sticky sessions. One of them is killed while everybody follows.
  async nodes() {
    const page = await ask('GET', '/');
    assert.equal(page.status, 200);
    assert.match(String(page.body), /<html/i);

    // With a number, so that sending it again is harmless.
    const post = async (seq) => {
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify({ content: `number ${seq}`, from: 'dan', session: 'dan', seq });
      const path = '/api/rooms/harbour/messages';
      await untilAsync(async () => (await ask('POST', path, { headers, body }).catch(() => ({}))).status === 200);
    };
    const followers = [
      ...Array.from({ length: 6 }, (_, index) => followBySocket(`socket-${index}`)),
      ...Array.from({ length: 6 }, (_, index) => followByEvents(`events-${index}`)),
      ...Array.from({ length: 6 }, (_, index) => followByPolls(`polls-${index}`)),
    ];
    await until(() => followers.every((follower) => follower.isThere));
    console.log('there');
    const expected = [];
    for (let number = 1; number <= 60; number += 1) {
      if (number === 20) {
        console.log('now');
        await once(process.stdin, 'data');
      }
      expected.push(`number ${number}`);
      await post(number);
    }
    await until(() => followers.every(({ heard }) => heard.length >= expected.length));
    // Each once and in order, by whichever node.
    for (const { user, heard } of followers) assert.deepEqual(heard, expected, user);
    const moved = followers.filter(({ arrivals }) => arrivals > 1);
    assert.ok(moved.length > 0, 'somebody was on the node that was killed');
    process.exit(0);
  },

  async too_large() {
    const other = await Chatter.arrive('linus', 'room=harbour');
    const ada = await Chatter.arrive('ada', 'room=harbour');
    ada.say({ type: 'room_msg', roomId: 'harbour', content: 'x'.repeat(2 << 20), seq: 1 });
    assert.equal(await ada.isClosed(), 1009);
    other.say({ type: 'room_msg', roomId: 'harbour', content: 'still here', seq: 1 });
    const ack = await other.hears(({ type }) => type === 'ack');
    assert.equal(ack.offset, 1, 'nothing of the large one is kept');
  },

  async silence() {
    const ada = await Chatter.arrive('ada', 'room=harbour');
    const linus = await Chatter.arrive('linus', 'room=harbour');
    // nginx' own proxy_read_timeout is 60 s.
    await pause(63_000);
    assert.equal(ada.code, null);
    linus.say({ type: 'room_msg', roomId: 'harbour', content: 'Good morning', seq: 1 });
    await ada.hears(({ content }) => content === 'Good morning');
  },

  async cut() {
    const ada = await Chatter.arrive('ada', 'room=harbour');
    assert.equal(await ada.isClosed(), 1006);
  },

  // From another address than nginx's own, and with one that it claims to have.
  async elsewhere() {
    const headers = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9' };
    const ada = await Chatter.arrive('ada', 'room=harbour', { localAddress: '127.0.0.2', headers });
    console.log('connected');
    await ada.isClosed();
  },

  async drain() {
    const chatters = await Promise.all(Array.from({ length: 20 }, (_, n) => Chatter.arrive(`u${n}`, 'room=harbour')));
    console.log('connected');
    for (const chatter of chatters) assert.equal(await chatter.isClosed(), 1012);
  },
};

await scenarios[scenario]();
process.exit(0);
