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
