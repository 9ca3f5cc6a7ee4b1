// The JavaScript client in Node, in a conversation that is disturbed.
// Usage: node client_in_node.mjs kill|cut TRANSPORT TIMES http://HOST:PORT/
//        node client_in_node.mjs block - - http://HOST:PORT/

import assert from 'node:assert/strict';
import WebSocket from 'ws';

import { connect } from '../../clients/js/client.js';
import { Conversation } from './client/conversation.mjs';
import { cut, kill, progress, until } from './client/disturbances.mjs';
import { RudeProxy } from './client/rude_proxy.mjs';

const [what, transport, times, url] = process.argv.slice(2);
const proxy = new RudeProxy(Number(new URL(url).port));
const proxied = await proxy.listen();

/** A conversation here, with the methods that the disturbances use. */
async function begin(address, options = {}) {
  const conversation = new Conversation(connect, `${address}/ws`, { WebSocket, ...options });
  await conversation.begin();
  return {
    counts: async () => conversation.counts,
    reconnect: async () => conversation.talkers.forEach(({ client }) => client.reconnect()),
    end: () => conversation.end(),
    transports: async () => conversation.talkers.map(({ client }) => client.transport),
  };
}

let talk;
if (what === 'kill') {
  talk = await begin(new URL(url).origin, { transports: [transport] });
  await kill(talk, Number(times));
} else if (what === 'cut') {
  talk = await begin(proxied, { transports: [transport] });
  await cut(talk, proxy, Number(times));
} else if (what === 'block') {
  // Nothing is blocked yet, then WebSocket is, then event streams, too.
  talk = await begin(proxied);
  assert.deepEqual(await talk.transports(), ['websocket', 'websocket']);
  for (const [blocked, how, left] of [['webSocket', 'refuse', 'sse'], ['eventStream', 'swallow', 'poll']]) {
    proxy[blocked] = how;
    proxy.cutAll();
    await until(`both chat by ${left}`, async () => (await talk.transports()).every((now) => now === left));
    await progress(talk);
  }
} else {
  throw new Error(`nothing is called ${what}`);
}
const counts = await talk.counts();
assert.deepEqual(await talk.end(), []);
proxy.close();
console.log(`done: ${JSON.stringify(counts)}, ${proxy.cuts} cuts`);
process.exit(0);
