// Two Chromium pages chat with each other, as two people would: by the form, the composer and the list of people.
//
// The test that runs this holds the server. Twice this script asks for something on stdout, "stop the server" and
// "start the server", and goes on when a line comes back on stdin.

import assert from 'node:assert/strict';
import { Person, ask, play, url } from './person.mjs';

const ROOM = 'harbour';

const ada = await Person.arrive('Ada');
const linus = await Person.arrive('Linus');

await play({
  async 'Ada enters by the form'() {
    await ada.page.goto(url);
    await ada.enter(url, ROOM);
    await ada.seesInRoom('Ada');
  },

  async 'a link shares the room'() {
    const address = new URL(ada.page.url());
    assert.equal(address.searchParams.get('room'), ROOM, 'the room is in the address');
    address.searchParams.delete('name');
    await linus.enter(address.href);
    await ada.seesInRoom('Linus');
    await linus.seesInRoom('Ada');
    await ada.noticed('Linus joined');
  },

  async 'they talk'() {
    await ada.say('Hello Linus, can you read this?');
    await linus.sees('Ada', 'Hello Linus, can you read this?');
    await linus.say('Loud and clear. Two browsers, one log.');
    await ada.sees('Linus', 'Loud and clear. Two browsers, one log.');
    await ada.page.waitForSelector('.message[data-from="Ada"][data-delivery="kept"]');
    assert.equal(await ada.count('Hello Linus, can you read this?'), 1, 'no message of ours comes twice');
  },

  async 'one sees the other type'() {
    // It goes by itself after a while.
    const isSeen = ada.page.locator('#typing', { hasText: 'Linus' }).waitFor();
    await linus.page.locator('#composer').pressSequentially('Thinking');
    await isSeen;
    await linus.page.fill('#composer', '');
  },

  async 'a private message stays between two'() {
    const carol = await Person.arrive('Carol');
    await carol.enter(`${url}?room=${ROOM}`);
    // Who comes later sees what was said before.
    await carol.sees('Linus', 'Loud and clear. Two browsers, one log.');
    await ada.page.click('#people [data-user="Linus"] button');
    await ada.say('Between you and me.');
    await linus.page.waitForSelector('#private [data-conversation="@Ada"] .unread');
    await linus.open('@Ada');
    await linus.sees('Ada', 'Between you and me.');
    await linus.say('Of course.');
    await ada.sees('Linus', 'Of course.');
    for (const person of [ada, linus]) await person.open(`#${ROOM}`);
    await ada.say('Welcome, Carol!');
    await carol.sees('Ada', 'Welcome, Carol!');
    assert.equal(await carol.count('Between you and me.'), 0, 'a private message came to a third');
    assert.equal(await carol.page.locator('#private [data-conversation]').count(), 0);
    assert.equal(await ada.count('Between you and me.'), 0, 'a private message is in the room');
    await carol.say('Good to be here.');
    await linus.sees('Carol', 'Good to be here.');
    await carol.leave();
    await ada.seesNotInRoom('Carol');
    await ada.noticed(/Carol (left|came by and left)/);
  },

  async 'text is text'() {
    const text = '<img src=x onerror="window.hacked=1"><b>bold</b> & "quotes" é 𝄞';
    await ada.say(text);
    await linus.sees('Ada', text);
    for (const { page } of [ada, linus]) assert.equal(await page.evaluate(() => window.hacked), undefined);
  },

  async 'both come back after the server was away'() {
    await ask('stop the server');
    for (const { page } of [ada, linus]) await page.waitForSelector('#state[data-state="reconnecting"]');
    await ada.say('Written while the server was away');
    await ask('start the server');
    await Promise.all([ada.isLive(), linus.isLive()]);
    await Promise.all([ada.seesInRoom('Linus'), linus.seesInRoom('Ada')]);
    const waiting = ada.page.locator('.message[data-from="Ada"][data-delivery="kept"] .text');
    await waiting.getByText('Written while the server was away').waitFor();
    await ada.say('Are we back?');
    await linus.sees('Ada', 'Are we back?');
    await linus.say('We are.');
    await ada.sees('Linus', 'We are.');
    // Nothing was lost, and nothing is there twice.
    for (const person of [ada, linus]) {
      assert.equal(await person.page.locator('#log .note').getByText('not shown here').count(), 0);
      for (const text of ['Hello Linus, can you read this?', 'Written while the server was away', 'We are.']) {
        assert.equal(await person.count(text), 1, text);
      }
    }
    const dan = await Person.arrive('Dan');
    await dan.enter(`${url}?room=${ROOM}`);
    await dan.sees('Ada', 'Hello Linus, can you read this?');
    await dan.sees('Ada', 'Written while the server was away');
    await dan.leave();
    await ada.seesNotInRoom('Dan');
  },

  async 'one leaves and the other sees it'() {
    await linus.page.click('#leave');
    await ada.seesNotInRoom('Linus');
    await ada.noticed(/Linus (left|came by and left)/);
    await linus.page.waitForSelector('#enter');
  },
});
