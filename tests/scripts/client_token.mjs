// The JavaScript client and tokens that end in the middle of a conversation, on each transport: it renews them by itself, and
// nobody sees it go. Tokens are signed here, by code that knows nothing of the server's.
// Usage: node client_token.mjs http://HOST:PORT SECRET

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import WebSocket from 'ws';

import { connect } from '../../clients/js/client.js';
import { until } from './client/disturbances.mjs';

const [url, secret] = process.argv.slice(2);
/** Shorter than what the client would take for a token of its own accord, long enough for a busy machine. */
const LIFETIME_S = 10;

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function token(sub, lifetime = LIFETIME_S) {
  const signed = `${encoded({ alg: 'HS256' })}.${encoded({ sub, exp: Math.floor(Date.now() / 1000) + lifetime })}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

class Guest {
  fetched = 0;
  states = [];

  constructor(transport) {
    this.name = `ada-${transport}`;
    this.client = connect(`${url}/ws`, { WebSocket, transports: [transport], rooms: ['r'], token: () => this.#fetch() });
    this.client.on('state', ({ state }) => this.states.push(state));
  }

  #fetch() {
    this.fetched += 1;
    return token(this.name);
  }
}

const watcher = connect(`${url}/ws`, { WebSocket, transports: ['websocket'], rooms: ['r'], token: token('watcher', 3600) });
const gone = [];
watcher.on('system', ({ event, user }) => event === 'leave' && gone.push(user));
await until('the watcher is in', async () => watcher.state === 'live');

const guests = ['websocket', 'sse', 'poll'].map((transport) => new Guest(transport));
await until('all are in', async () => guests.every(({ client }) => client.state === 'live'));
// By then the first token has ended, and the second nearly.
await until('all have renewed their tokens twice', async () => guests.every(({ fetched }) => fetched >= 3));
for (const { name, client, states, fetched } of guests) {
  const ack = await client.send('r', `from ${name}`);
  assert.ok(ack.offset > 0, name);
  assert.ok(!states.includes('reconnecting'), `${name}: ${states} with ${fetched} tokens`);
}
assert.deepEqual(gone, [], 'nobody was seen to leave');
for (const { client } of guests) client.close();
watcher.close();

// What the server refuses is told by a code, here where a token comes too late.
const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, ['tidewire.v1.json', `tidewire.token.${token('late', -1)}`]);
const refused = await new Promise((resolve) => socket.on('unexpected-response', (_, response) => resolve(response.statusCode)));
assert.equal(refused, 401);
console.log('done');
process.exit(0);
