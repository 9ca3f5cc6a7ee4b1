// The chat page of a server that asks for tokens: a form with a field for one, a link that brings one, and a sentence where it does
// not hold.

import assert from 'node:assert/strict';
import { isAccessible } from './accessible.mjs';
import { Person, ask, play, url } from './person.mjs';

const ada = await Person.arrive('ada');
const ben = await Person.arrive('ben');
const guest = await Person.arrive('guest');
/** The sentence in place of the message box, with the box gone. */
const isBarred = async (person, room) => {
  await person.in(`#${room}`, '.barred', { hasText: `does not let you join the room "${room}"` }).waitFor();
  await person.in(`#${room}`, 'textarea').waitFor({ state: 'hidden' });
};
const told = (person, text) => person.page.locator('#join-error', { hasText: text }).waitFor({ timeout: 60_000 });

await play({
  async 'who has no token is asked for one'() {
    await ada.page.goto(url);
    assert.equal(await ada.page.isVisible('#token'), false, 'not before it is known that one is wanted');
    await ada.page.fill('#name', 'ada');
    await ada.page.fill('#room', 'harbour');
    await ada.page.click('#enter');
    await told(ada, 'asks for a token');
    await ada.page.waitForSelector('#token:focus');
    const sides = (selector) => ada.page.locator(selector).evaluate((field) => [field.getBoundingClientRect().left, field.offsetWidth]);
    assert.deepEqual(await sides('#token'), await sides('#room'), 'it stands in the form as the others do');
  },

  async 'one that does not hold is refused in a sentence'() {
    await ada.page.fill('#token', 'no.token.atall');
    await ada.page.click('#enter');
    await told(ada, 'The token');
  },

  async 'a good one leads into the room, under its own name'() {
    await ada.page.fill('#token', await ask('token ada'));
    await ada.page.fill('#name', 'somebody');
    await ada.page.click('#enter');
    await ada.isLive();
    await ada.seesInRoom('ada');
    assert.equal(new URL(ada.page.url()).searchParams.get('name'), 'ada');
  },

  async 'it holds for a reload, and is in no address'() {
    await ada.page.reload();
    await ada.isLive();
    assert.ok(!ada.page.url().includes('eyJ'), ada.page.url());
  },

  async 'a link brings one along'() {
    await ben.page.goto(`${url}?name=ben&room=harbour#token=${await ask('token ben')}`);
    await ben.isLive();
    await ben.say('Hello from a link');
    await ada.sees('ben', 'Hello from a link');
    assert.ok(!ben.page.url().includes('token'), ben.page.url());
  },

  async 'files go up with it'() {
    const file = { name: 'map.txt', mimeType: 'text/plain', buffer: Buffer.from('here') };
    await ben.page.locator('.pane input[type="file"]').first().setInputFiles(file);
    await ben.say('A map');
    await ada.page.locator('#log .message a', { hasText: 'map.txt' }).first().waitFor();
  },

  async 'when it ends, the page says so'() {
    const late = await Person.arrive('late');
    await late.page.goto(`${url}?name=late&room=harbour#token=${await ask('token late')}`);
    await late.isLive();
    await told(late, 'expired');
    assert.equal(await late.page.isVisible('#token'), true);
  },

  async 'a room that the token does not open says so, and goes on saying it'() {
    await guest.page.goto(`${url}?name=guest&room=lobby#token=${await ask('token guest')}`);
    await isBarred(guest, 'lobby');
    await guest.page.locator('#subtitle', { hasText: 'You are not in this room' }).waitFor();
    await guest.page.locator('#empty', { hasText: 'You are not let into lobby' }).waitFor();
    assert.equal(await guest.page.locator('#toast[data-shown]').count(), 0, 'it is no toast, which would go');
    assert.equal(await guest.page.isVisible('#copy-link'), false);
    await isAccessible(guest, 'a room that is closed to us');
    await guest.screenshot('barred.png');
  },

  async 'the rooms that it opens are joined beside it'() {
    await guest.page.goto(`${url}?name=guest&room=lobby&room=team-a`);
    await guest.isLive();
    await isBarred(guest, 'lobby');
    await guest.open('#team-a');
    await guest.seesInRoom('guest');
    await guest.say('Is this the team?');
    await guest.page.locator('#log [data-delivery="kept"]').waitFor();
    assert.equal(await guest.page.isVisible('#barred'), false);
    await guest.page.fill('#room-more', 'harbour');
    await guest.page.press('#room-more', 'Enter');
    await isBarred(guest, 'harbour');
    await guest.open('#team-a');
    assert.equal(await guest.page.isVisible('#composer'), true);
  },

  async 'the way out leads to another token'() {
    await guest.page.click('#leave');
    await guest.page.fill('#room', 'lobby');
    await guest.page.fill('#token', await ask('token ada'));
    await guest.page.click('#enter');
    await guest.isLive();
    await guest.seesInRoom('ada');
    assert.equal(await guest.page.isVisible('#composer'), true);
  },

  async 'what was not sent keeps its reason in sight'() {
    const reader = await Person.arrive('reader');
    await reader.page.goto(`${url}?name=reader&room=harbour#token=${await ask('token reader')}`);
    await reader.isLive();
    await reader.seesInRoom('reader');
    const failure = reader.page.locator('#log .failure', { hasText: 'does not let you write' });
    // Typing is refused, too, and nothing else says so.
    const toast = reader.page.locator('#toast[data-shown]').waitFor();
    await reader.say('May I?');
    await Promise.all([toast, failure.waitFor()]);
    const isCovered = await reader.page.evaluate(() => {
      const [toast, words] = ['#toast', '.failure'].map((selector) => document.querySelector(selector).getBoundingClientRect());
      return toast.top < words.bottom && words.top < toast.bottom;
    });
    assert.equal(isCovered, false);
    await reader.screenshot('read-only.png');
  },
});
