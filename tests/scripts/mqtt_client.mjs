// MQTT.js in the chat, in MQTT 3.1.1 or 5, with somebody who speaks JSON in the same room: every QoS both ways, wildcards, retained
// messages, private ones, a will, and a session that is gone on with.
// Usage: node mqtt_client.mjs ws://HOST:PORT 4|5

import assert from 'node:assert/strict';
import { once } from 'node:events';
import mqtt from 'mqtt';
import WebSocket from 'ws';

const [url, version] = process.argv.slice(2);
const protocolVersion = Number(version);
const open = [];

/** A client, and a list of what it got that can be waited for. */
async function connect(options = {}) {
  const client = mqtt.connect(`${url}/mqtt`, { protocolVersion, reconnectPeriod: 0, ...options });
  open.push(client);
  const heard = [];
  let wake = () => {};
  client.on('message', (topic, payload, packet) => {
    const { qos, retain, dup, properties } = packet;
    heard.push({ topic, payload: payload.toString('latin1'), qos, retain, dup, properties });
    wake();
  });
  const [connack] = await once(client, 'connect');
  const hear = async () => {
    while (heard.length === 0) {
      await new Promise((resolve) => { wake = resolve; });
    }
    return heard.shift();
  };
  return { client, connack, hear, heard };
}

/** Somebody who speaks JSON. */
async function chatter(user, room) {
  const socket = new WebSocket(`${url}/ws?userId=${user}&room=${room}`);
  const heard = [];
  let wake = () => {};
  socket.on('message', (text) => {
    const event = JSON.parse(text);
    if (event.type !== 'system') {
      heard.push(event);
      wake();
    }
  });
  const expect = async (type) => {
    while (heard.length === 0) {
      await new Promise((resolve) => { wake = resolve; });
    }
    const event = heard.shift();
    assert.equal(event.type, type, JSON.stringify(event));
    return event;
  };
  await expect('welcome');
  await expect('joined');
  return { socket, expect, say: (message) => socket.send(JSON.stringify(message)) };
}

const json = await chatter('ada', 'lobby');

// Every QoS both ways.
const bob = await connect({ username: 'bob', clientId: 'bob-1' });
for (const qos of [0, 1, 2]) {
  const granted = await bob.client.subscribeAsync('lobby', { qos });
  assert.equal(granted[0].qos, qos);
  if (qos > 0) {
    assert.equal((await bob.hear()).retain, true);
  }
  await bob.client.publishAsync('lobby', `hello ${qos}`, { qos });
  const event = await json.expect('room_msg');
  assert.deepEqual([event.from, event.content], ['bob', `hello ${qos}`]);
  const own = await bob.hear();
  assert.deepEqual([own.topic, own.payload, own.qos], ['lobby', `hello ${qos}`, qos]);
  json.say({ type: 'room_msg', roomId: 'lobby', content: { qos } });
  const heard = await bob.hear();
  assert.deepEqual([heard.payload, heard.qos, heard.retain], [`{"qos":${qos}}`, qos, false]);
  await bob.client.unsubscribeAsync('lobby');
}

// What MQTT 5 says of a payload goes with it as it came; who speaks JSON sees it in front of the content, and may say it.
const about = { payloadFormatIndicator: true, contentType: 'text/plain', responseTopic: 'answers', userProperties: { unit: '°C', of: ['b', 'a'] } };
const inJson = { ...about, correlationData: 'AP8=', userProperties: [['unit', '°C'], ['of', 'b'], ['of', 'a']] };
const isFive = protocolVersion === 5;
await bob.client.subscribeAsync('lobby', { qos: 1 });
assert.equal((await bob.hear()).retain, true);
if (isFive) {
  const properties = { ...about, correlationData: Buffer.from([0, 255]) };
  await bob.client.publishAsync('lobby', '21', { qos: 1, properties });
  assert.deepEqual((await json.expect('room_msg')).content, { $mqtt: inJson, content: 21 });
  const own = await bob.hear();
  assert.equal(own.payload, '21');
  assert.deepEqual({ ...own.properties, userProperties: { ...own.properties.userProperties } }, properties);
}
json.say({ type: 'room_msg', roomId: 'lobby', content: { $mqtt: { contentType: 'text/html' }, content: '<b>' } });
const described = await bob.hear();
assert.deepEqual([described.payload, described.properties?.contentType], ['<b>', isFive ? 'text/html' : undefined]);
await bob.client.unsubscribeAsync('lobby');

// Bytes that are no text.
await bob.client.subscribeAsync('lobby', { qos: 1 });
assert.equal((await bob.hear()).retain, true);
await bob.client.publishAsync('lobby', Buffer.from([0, 255, 1]), { qos: 1 });
assert.deepEqual((await json.expect('room_msg')).content, { $binary: 'AP8B' });
assert.equal((await bob.hear()).payload, '\x00\xff\x01');

// A retained message is the last one.
const eve = await connect({ username: 'eve', clientId: 'eve-1' });
await eve.client.subscribeAsync('lobby', { qos: 1 });
const retained = await eve.hear();
assert.deepEqual([retained.payload, retained.retain], ['\x00\xff\x01', true]);

// Wildcards: rooms that there are, and one that begins.
await eve.client.subscribeAsync('home/+/light', { qos: 1 });
await bob.client.publishAsync('home/kitchen/light', 'on', { qos: 1 });
await bob.client.publishAsync('home/kitchen/door', 'open', { qos: 1 });
await bob.client.publishAsync('home/hall/light', 'off', { qos: 1 });
const lights = [await eve.hear(), await eve.hear()];
assert.deepEqual(lights.map(({ topic, payload }) => `${topic} ${payload}`).sort(), ['home/hall/light off', 'home/kitchen/light on']);
const late = await connect({ username: 'late', clientId: 'late-1' });
await late.client.subscribeAsync('home/#', { qos: 0 });
const there = [await late.hear(), await late.hear(), await late.hear()];
assert.deepEqual(there.map(({ topic }) => topic).sort(), ['home/hall/light', 'home/kitchen/door', 'home/kitchen/light']);

// Private messages and broadcasts.
await eve.client.subscribeAsync(['@eve', '*'], { qos: 1 });
json.say({ type: 'private_msg', toUser: 'eve', content: 'psst' });
assert.deepEqual([(await eve.hear()).topic, eve.heard.length], ['@eve', 0]);
json.say({ type: 'broadcast', content: 'all' });
assert.equal((await eve.hear()).topic, '*');
const refused = await eve.client.subscribeAsync('@bob', { qos: 1 }).catch((error) => error);
assert.ok(refused instanceof Error || refused[0].qos >= 128, 'the private messages of others');

// A will.
const mortal = await connect({ username: 'mortal', clientId: 'm', will: { topic: 'lobby', payload: 'argh', qos: 1 } });
mortal.client.stream.destroy();
const will = await json.expect('room_msg');
assert.deepEqual([will.from, will.content], ['mortal', 'argh']);
assert.equal((await eve.hear()).payload, 'argh');

// A session that is gone on with: nothing is missed, nothing comes twice.
const options = { username: 'res', clientId: 'res-1', clean: false };
if (protocolVersion === 5) {
  options.properties = { sessionExpiryInterval: 3600 };
}
const first = await connect(options);
assert.equal(first.connack.sessionPresent, false);
await first.client.subscribeAsync('news/#', { qos: 1 });
await bob.client.publishAsync('news/a', '1', { qos: 1 });
assert.equal((await first.hear()).payload, '1');
await first.client.endAsync();
for (const [topic, payload] of [['news/a', '2'], ['news/b', '3'], ['news/a', '4']]) {
  await bob.client.publishAsync(topic, payload, { qos: 1 });
}
const second = await connect(options);
assert.equal(second.connack.sessionPresent, true);
const missed = [await second.hear(), await second.hear(), await second.hear()];
assert.deepEqual(missed.filter(({ topic }) => topic === 'news/a').map(({ payload }) => payload), ['2', '4']);
assert.deepEqual(missed.filter(({ topic }) => topic === 'news/b').map(({ payload }) => payload), ['3']);
await bob.client.publishAsync('news/a', '5', { qos: 1 });
assert.equal((await second.hear()).payload, '5');

// Another with its client id takes it over.
const closed = once(second.client, 'close');
const third = await connect(options);
assert.equal(third.connack.sessionPresent, true);
await closed;

for (const client of open) {
  client.end(true);
}
json.socket.close();
console.log('done');
