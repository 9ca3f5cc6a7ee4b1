// The chat page of a server that asks for tokens: a form with a field for one, a link that brings one, and a sentence where it does
// not hold.

import assert from 'node:assert/strict';
import { Person, ask, play, url } from './person.mjs';

const ada = await Person.arrive('ada');
const ben = await Person.arrive('ben');
const told = (person, text) => person.page.locator('#join-error', { hasText: text }).waitFor();

await play({
  async 'who has no token is asked for one'() {
    await ada.page.goto(url);
    assert.equal(await ada.page.isVisible('#token'), false, 'not before it is known that one is wanted');
    await ada.page.fill('#name', 'ada');
    await ada.page.fill('#room', 'harbour');
    await ada.page.click('#enter');
    await told(ada, 'asks for a token');
    await ada.page.waitForSelector('#token:focus');
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
});
