// Everybody in one room, each by another way into the chat: the chat's JSON and Protobuf over WebSocket, an event stream, long-poll, Socket.IO,
// MQTT 5 and 3.1.1, and the page. Each speaks, all hear all, at the same offsets and in the same order. Then each is cut off while the
// others go on, and comes back to what it missed. Where there are several nodes, everybody begins at one of them and comes back to another.
//
// Usage: node one_conversation.mjs CHROMIUM PYTHON http://HOST:PORT…

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

import { until } from './client/disturbances.mjs';
import { InProtobuf, OfMqttJs, OfOurClient, OfPaho, OfSocketIo, OnThePage, ROOM, behindProxy } from './one_room/people.mjs';

const [executablePath, python, ...urls] = process.argv.slice(2);
const ports = urls.map((url) => Number(new URL(url).port));
const nodeBehind = (port) => ports[(ports.indexOf(port) + 1) % ports.length];
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });

const kinds = [
  [OfOurClient, 'json', 'websocket'],
  [InProtobuf, 'protobuf'],
  [OfOurClient, 'sse', 'sse'],
  [OfOurClient, 'poll', 'poll'],
  [OfSocketIo, 'socket.io'],
  [OfMqttJs, 'mqtt.js'],
  [OfPaho, 'paho', python],
  [OnThePage, 'page', browser],
];
const everybody = await Promise.all(
  kinds.map(([Kind, name, ...rest], index) => behindProxy(Kind, name, ports[index % ports.length], ...rest)),
);
const page = everybody.at(-1);

/** The log: what is true of the room. */
async function log() {
  const { messages } = await (await fetch(`${urls[0]}/api/rooms/${ROOM}/messages?since=&limit=1000`)).json();
  return messages.map(({ offset, content }) => ({ offset, text: content }));
}

const texts = (entries) => entries.map(({ text }) => text);

/** Waits until everybody of these knows everything, and looks that it is that and nothing else. */
async function allKnowAll(people, count) {
  const whole = await log();
  assert.equal(whole.length, count, `in the log: ${texts(whole)}`);
  assert.deepEqual(whole.map(({ offset }) => offset), whole.map((_, index) => index + 1));
  for (const person of people) {
    const knows = async () => {
      await person.look?.();
      return person.known().length >= count;
    };
    await until(() => `${person.name} knows ${count}; it knows ${texts(person.known())}`, knows);
    const known = person.known();
    assert.deepEqual(texts(known), texts(whole), `what ${person.name} heard`);
    const shown = known.filter(({ offset }) => offset !== undefined);
    assert.ok(shown.length === 0 || shown.length === count);
    assert.deepEqual(shown, shown.length === 0 ? [] : whole, `where ${person.name} heard it`);
    assert.deepEqual(person.troubles, [], person.name);
  }
}

for (const person of everybody) await person.enter();

// All at once, then one after the other.
let count = 0;
const say = (person, text) => ((count += 1), person.say(`${person.name} ${text}`));
await Promise.all(everybody.flatMap((person) => [1, 2, 3].map((number) => (person === page ? [] : say(person, number)))).flat());
for (const person of everybody) await say(person, 'in turn');
await allKnowAll(everybody, count);
console.log('all have heard all');

function cutOff(person) {
  const { proxy } = person;
  proxy.answers = 'refuse';
  proxy.cutAll();
  proxy.port = nodeBehind(proxy.port);
}

for (const person of everybody) {
  cutOff(person);
  const others = everybody.filter((other) => other !== person);
  for (const other of others) await say(other, `while ${person.name} is away`);
  await allKnowAll(others, count);
  assert.ok(person.known().length < count, `${person.name} is away`);
  person.proxy.answers = 'pass';
  await person.comeBack();
  await allKnowAll(everybody, count);
  await say(person, 'is back');
  await allKnowAll(everybody, count);
  console.log(`${person.name} was away and has heard all`);
}

// And all at once, while somebody speaks who is not in the room.
everybody.forEach(cutOff);
for (const number of [1, 2, 3]) {
  const body = JSON.stringify({ from: 'nobody', content: `nobody is here ${number}` });
  const response = await fetch(`${urls[0]}/api/rooms/${ROOM}/messages`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  assert.ok(response.ok, String(response.status));
  count += 1;
}
for (const person of everybody) person.proxy.answers = 'pass';
for (const person of everybody) await person.comeBack();
await allKnowAll(everybody, count);

for (const person of everybody) {
  await person.leave();
  person.proxy.close();
}
await browser.close();
console.log(`done: ${count} messages, ${everybody.length} people`);
process.exit(0);
