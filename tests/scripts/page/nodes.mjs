// Two people on the chat page, at two nodes behind a proxy: what the page says while Redis does not answer or is away, and that
// what they write then comes once, in order, when it is back; and that they go on when a node is killed.

import assert from 'node:assert/strict';
import { Person, addressOf, ask, play } from './person.mjs';

const unproved = { ignoreHTTPSErrors: true };
const ada = await Person.enters('Ada', ['harbour'], unproved);
const linus = await Person.enters('Linus', ['harbour'], unproved);
const delivery = (person, state) => person.page.locator(`#log .message[data-delivery="${state}"]`);
const delayed = (person) => person.page.locator('#log .message[data-delayed]');
const banner = (person) => person.page.locator('#banner:not([hidden])');

/** What is written while nothing can be kept; each sees of it that it is not sent yet. */
async function writeInVain(texts) {
  for (const text of texts) await ada.say(text);
  await banner(ada).getByText('What you write is sent as soon as it can.').waitFor();
  await ada.until((count) => document.querySelectorAll('#log .message[data-delayed]').length === count, texts.length);
  await delayed(ada).first().getByText('Not sent yet').waitFor();
  assert.equal(await ada.page.locator('#reconnect').isVisible(), false, 'there is nothing to be done');
  assert.equal(await ada.page.getAttribute('#state', 'data-state'), 'live');
}

/** Once, in order, for both; and nothing is left on the way. */
async function isThere(texts) {
  await linus.sees('Ada', texts.at(-1));
  await ada.hasInOutbox(0);
  for (const person of [ada, linus]) {
    await person.sees('Ada', texts.at(-1));
    const shown = (await person.texts()).filter((text) => texts.includes(text));
    assert.deepEqual(shown, texts, person.name);
  }
  await ada.until(() => document.querySelector('#log [data-delivery="sending"], #log [data-delivery="failed"]') === null);
  await ada.page.locator('#banner').waitFor({ state: 'hidden' });
}

await play({
  async 'they are one chat'() {
    await ada.seesInRoom('Linus');
    await linus.seesInRoom('Ada');
    await ada.say('The tide comes in');
    await linus.sees('Ada', 'The tide comes in');
    await linus.say('and goes out');
    await ada.sees('Linus', 'and goes out');
  },

  async 'while Redis stands still, what is written is not sent yet, and then it is, once'() {
    await ask('hold Redis still');
    await writeInVain(['One', 'Two', 'Three']);
    await ada.screenshot('nodes-held.png');
    await ask('let Redis go on');
    await isThere(['One', 'Two', 'Three']);
    await ada.screenshot('nodes-went-on.png');
  },

  async 'by event streams it is the same'() {
    const dan = await Person.arrive('Dan', unproved);
    await dan.page.routeWebSocket(/\/ws/, (socket) => socket.close());
    await dan.page.goto(addressOf('Dan', ['harbour']));
    await dan.isLive();
    await dan.seesInRoom('Ada');
    await ask('hold Redis still');
    await dan.say('By a stream');
    await banner(dan).getByText('What you write is sent as soon as it can.').waitFor();
    await delayed(dan).getByText('Not sent yet').waitFor();
    assert.equal(await dan.page.getAttribute('#state', 'data-state'), 'live');
    await ask('let Redis go on');
    await linus.sees('Dan', 'By a stream');
    await delivery(dan, 'kept').getByText('By a stream').waitFor();
    for (const person of [dan, linus]) assert.equal(await person.count('By a stream'), 1);
    await dan.leave();
  },

  async 'while Redis is away it is the same, and who reloads has what is not sent'() {
    await ask('kill Redis');
    await writeInVain(['Four', 'Five']);
    await ada.page.reload();
    await delivery(ada, 'sending').getByText('Five').waitFor();
    await banner(ada).getByText('What you write is sent as soon as it can.').waitFor();
    await delayed(ada).first().getByText('Not sent yet').waitFor();
    await ada.screenshot('nodes-reloaded.png');
    await ask('start Redis');
    await ada.isLive();
    await isThere(['Four', 'Five']);
    await ada.sees('Linus', 'and goes out');
    await ada.screenshot('nodes-is-back.png');
  },

  async 'when a node is killed, they go on at the other'() {
    await ask('kill a node');
    await ada.say('Are you there?');
    await linus.sees('Ada', 'Are you there?');
    await linus.say('I am');
    await ada.sees('Linus', 'I am');
    await Promise.all([ada.isLive(), linus.isLive()]);
    await ada.screenshot('nodes-one-left.png');
    await ask('start the node');
    await ada.say('And now?');
    await linus.sees('Ada', 'And now?');
    for (const person of [ada, linus]) assert.equal(await person.count('Are you there?'), 1);
  },
});
