// MQTT.js whose server is killed and comes back: it connects again by itself, finds its session, subscribes to nothing anew, and gets
// what was said meanwhile. Prints what it gets, once.
// Usage: node mqtt_session.mjs ws://HOST:PORT 4|5 ROOM

import assert from 'node:assert/strict';
import mqtt from 'mqtt';

const [url, version, room] = process.argv.slice(2);
const options = {
  protocolVersion: Number(version),
  username: 'bob',
  clientId: `bob-${version}`,
  clean: false,
  resubscribe: false,
  reconnectPeriod: 100,
};
if (version === '5') {
  options.properties = { sessionExpiryInterval: 3600 };
}
const client = mqtt.connect(`${url}/mqtt`, options);
let connects = 0;
let newest = 0;
// Without a server there are errors, which are no news.
client.on('error', () => {});
client.on('connect', async ({ sessionPresent }) => {
  connects += 1;
  assert.equal(sessionPresent, connects > 1);
  if (connects === 1) {
    await client.subscribeAsync(room, { qos: 1 });
    console.log('subscribed');
  }
});
client.on('message', (topic, payload) => {
  const number = Number(payload);
  // At QoS 1 what was acknowledged in the last seconds may come again.
  assert.ok(number <= newest + 1, `${number} behind ${newest}`);
  if (number === newest + 1) {
    newest = number;
    console.log(`heard ${number}`);
  }
  if (newest === 3) {
    client.end();
  }
});
