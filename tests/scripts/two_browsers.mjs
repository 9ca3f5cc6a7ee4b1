// Two Chromium pages chat with each other, as two people would: by the form, the composer and the list of people.
// Usage: node two_browsers.mjs CHROMIUM http://HOST:PORT/ DIRECTORY...   (screenshots go to each directory)
//
// The test that runs this holds the server. Twice this script asks for something on stdout, "stop the server" and
// "start the server", and goes on when a line comes back on stdin.

import assert from 'node:assert/strict';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const [executablePath, url, ...directories] = process.argv.slice(2);
const PATIENCE_MS = 20_000;
const ROOM = 'harbour';

const browser = await chromium.launch({
  executablePath,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the test for something and waits until it is done. */
async function ask(what) {
  console.log(what);
  await answers.next();
}

/** A person with a browser of their own: nothing is shared but the server. */
class Person {
  static async arrive(name, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    const person = new Person();
    person.name = name;
    person.context = context;
    person.page = await context.newPage();
    person.problems = [];
    person.page.on('pageerror', (error) => person.problems.push(error.stack ?? String(error)));
    person.page.on('request', (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith('data:')) person.problems.push(`request to ${request.url()}`);
    });
    return person;
  }

  /** Enters by the form, having opened `address`. */
  async enter(address, room) {
    await this.page.goto(address);
    await this.page.fill('#name', this.name);
    if (room !== undefined) await this.page.fill('#room', room);
    await this.page.click('#enter');
    await this.isLive();
  }

  isLive() {
    return this.page.waitForSelector('#state[data-state="live"]');
  }

  async say(text) {
    await this.page.fill('#composer', text);
    await this.page.press('#composer', 'Enter');
  }

  /** Waits until a message with exactly this text is in the open conversation. */
  async sees(from, text) {
    const messages = this.page.locator(`.message[data-from="${from}"] .text`);
    await messages.getByText(text, { exact: true }).first().waitFor();
  }

  /** How often a text is in the open conversation. */
  count(text) {
    return this.page.locator('#log .message .text').getByText(text, { exact: true }).count();
  }

  seesInRoom(user) {
    return this.page.waitForSelector(`#people [data-user="${user}"]`, { state: 'attached' });
  }

  seesNotInRoom(user) {
    return this.page.waitForSelector(`#people [data-user="${user}"]`, { state: 'detached' });
  }

  noticed(sentence) {
    return this.page.locator('#log .note').getByText(sentence).first().waitFor();
  }

  open(conversation) {
    return this.page.click(`[data-conversation="${conversation}"]`);
  }
}

async function screenshot(person, name) {
  const [first, ...others] = directories;
  await mkdir(first, { recursive: true });
  // Let transitions end, so that a picture shows a state and not a way to it.
  await person.page.waitForTimeout(400);
  await person.page.screenshot({ path: join(first, name) });
  for (const other of others) {
    await mkdir(other, { recursive: true });
    await copyFile(join(first, name), join(other, name));
  }
}

const ada = await Person.arrive('Ada');
const linus = await Person.arrive('Linus');

const steps = {
  async 'Ada enters by the form'() {
    await ada.page.goto(url);
    await screenshot(ada, 'welcome.png');
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
    await linus.page.locator('#composer').pressSequentially('Thinking');
    await ada.page.locator('#typing', { hasText: 'Linus' }).waitFor();
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
    await screenshot(linus, 'chat.png');
    await linus.page.emulateMedia({ colorScheme: 'dark' });
    await screenshot(linus, 'chat-dark.png');
    await linus.page.emulateMedia({ colorScheme: 'light' });
    await carol.page.setViewportSize({ width: 390, height: 844 });
    await screenshot(carol, 'chat-phone.png');
    assert.deepEqual(carol.problems, []);
    await carol.context.close();
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
    assert.deepEqual(dan.problems, []);
    await dan.context.close();
    await ada.seesNotInRoom('Dan');
  },

  async 'one leaves and the other sees it'() {
    await linus.page.click('#leave');
    await ada.seesNotInRoom('Linus');
    await ada.noticed(/Linus (left|came by and left)/);
    await linus.page.waitForSelector('#enter');
  },

  async 'nothing went wrong on the pages'() {
    assert.deepEqual(ada.problems, []);
    assert.deepEqual(linus.problems, []);
  },
};

try {
  for (const [name, step] of Object.entries(steps)) {
    console.log(name);
    await step();
  }
} catch (error) {
  for (const person of [ada, linus]) await screenshot(person, `failed-${person.name}.png`).catch(() => {});
  console.error(error);
  process.exitCode = 1;
} finally {
  await browser.close();
}
process.exit();
