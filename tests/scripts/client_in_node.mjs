// The JavaScript client in Node, in a conversation that is disturbed.
// Usage: node client_in_node.mjs kill TRANSPORT TIMES http://HOST:PORT/[,http://HOST:PORT/]   (several nodes)
//        node client_in_node.mjs cut TRANSPORT TIMES http://HOST:PORT/
//        node client_in_node.mjs block|overtaken - - http://HOST:PORT/

import assert from 'node:assert/strict';
import WebSocket from 'ws';

import { connect } from '../../clients/js/client.js';
import { Conversation } from './client/conversation.mjs';
import { cut, kill, progress, until } from './client/disturbances.mjs';
import { RudeProxy } from './client/rude_proxy.mjs';

const [what, transport, times, urls] = process.argv.slice(2);
const [url, ...others] = urls.split(',');
const proxy = new RudeProxy(Number(new URL(url).port));
const proxied = await proxy.listen();

/** A conversation here, with the methods that the disturbances use. */
async function begin(address, options = {}) {
  const conversation = new Conversation(connect, [address].flat().map((each) => `${each}/ws`), { WebSocket, ...options });
  await conversation.begin();
  return {
    counts: async () => conversation.counts,
    reconnect: async () => conversation.talkers.forEach(({ client }) => client.reconnect()),
    end: () => conversation.end(),
    talkers: conversation.talkers,
    rest: () => conversation.rest(),
    transports: async () => conversation.talkers.map(({ client }) => client.transport),
  };
}

let talk;
if (what === 'kill') {
  talk = await begin([url, ...others].map((each) => new URL(each).origin), { transports: [transport] });
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
} else if (what === 'overtaken') {
  // One is told that what it said is kept before it hears what somebody else said before that: its polls are held up.
  talk = await begin(proxied, { transports: ['poll'] });
  await talk.rest();
  const [ada, ben] = talk.talkers;
  proxy.holdUpPollsOf('Ben');
  const said = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ from: 'Eve', content: 'not heard by Ben yet' }) };
  const { offset } = await (await fetch(new URL('/api/rooms/harbour/messages', url), said)).json();
  await ben.say(1_002, 'Ada');
  await until('Ada has heard both', async () => ada.heard.at(-1)?.text === 'Ben 1002');
  assert.deepEqual([ada.heard.at(-1).offset, ben.acked.at(-1).offset], [offset + 1, offset + 1]);
  assert.ok(!ben.heard.some((entry) => entry.offset === offset && entry.log === 'harbour'), 'it was not held up');
  // Whoever judges before that does so too early.
  setTimeout(() => proxy.holdUpPollsOf(''), 500);
} else {
  throw new Error(`nothing is called ${what}`);
}
const counts = await talk.counts();
assert.deepEqual(await talk.end(), []);
proxy.close();
console.log(`done: ${JSON.stringify(counts)}, ${proxy.cuts} cuts`);
process.exit(0);
