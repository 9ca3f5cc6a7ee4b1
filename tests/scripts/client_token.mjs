// The JavaScript client and tokens that end in the middle of a conversation, on each transport: it renews them by itself, and
// nobody sees it go. Tokens are signed here, by code that knows nothing of the server's.
// Usage: node client_token.mjs http://HOST:PORT SECRET

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import WebSocket from 'ws';

import { connect } from '../../clients/js/client.js';
import { until } from './client/disturbances.mjs';

const [url, secret] = process.argv.slice(2);
/** Short, and yet so long that a tenth of it, by which it is renewed, is enough for a busy machine. */
const LIFETIME_S = 30;

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function token(sub, lifetime = LIFETIME_S) {
  const signed = `${encoded({ alg: 'HS256' })}.${encoded({ sub, exp: Math.floor(Date.now() / 1000) + lifetime })}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

class Guest {
  fetched = 0;
  states = [];
  /** When its first token ends. */
  endsAt = Infinity;

  constructor(transport) {
    this.name = `ada-${transport}`;
    this.client = connect(`${url}/ws`, { WebSocket, transports: [transport], rooms: ['r'], token: () => this.#fetch() });
    this.client.on('state', ({ state }) => this.states.push(state));
  }

  #fetch() {
    this.fetched += 1;
    this.endsAt = Math.min(this.endsAt, Date.now() + LIFETIME_S * 1000);
    return token(this.name);
  }
}

const watcher = connect(`${url}/ws`, { WebSocket, transports: ['websocket'], rooms: ['r'], token: token('watcher', 3600) });
const gone = [];
watcher.on('system', ({ event, user }) => event === 'leave' && gone.push(user));
await until('the watcher is in', async () => watcher.state === 'live');

const guests = ['websocket', 'sse', 'poll'].map((transport) => new Guest(transport));
await until('all are in', async () => guests.every(({ client }) => client.state === 'live'));
await until('all have renewed their tokens, and the first ones have ended', async () =>
  guests.every(({ fetched, endsAt }) => fetched >= 2 && Date.now() > endsAt));
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
