// People in front of the chat page: one Chromium, and for each of them a context of their own, so that nothing is shared but
// the server. What went wrong on a page is collected; the scripts' last step looks that nothing did.
// Every script is run as: node SCRIPT CHROMIUM http://HOST:PORT/ DIRECTORY [DOCS]   (screenshots go to the first directory,
// those that the docs show also to the second)

import assert from 'node:assert/strict';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const [executablePath, url, directory, docs] = process.argv.slice(2);
const PATIENCE_MS = 20_000;
/** A page that tries again waits for up to half a minute. */
const RECONNECT_MS = 60_000;

export { url };

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

/** Asks the test, which holds the server, for something and waits until it is done, or for what it is. */
export async function ask(what) {
  console.log(what);
  return (await answers.next()).value;
}

const everybody = [];

export class Person {
  static async arrive(name, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    const person = new Person();
    person.name = name;
    person.context = context;
    person.page = await context.newPage();
    person.problems = [];
    person.page.on('pageerror', (error) => person.problems.push(error.stack ?? String(error)));
    person.page.on('console', (line) => {
      if (/Content Security Policy|Permissions-Policy|Cross-Origin-Opener/.test(line.text())) person.problems.push(line.text());
    });
    person.page.on('request', (request) => {
      const isOurs = [url, 'data:', 'blob:'].some((start) => request.url().startsWith(start));
      if (!isOurs) person.problems.push(`request to ${request.url()}`);
    });
    everybody.push(person);
    return person;
  }

  /** Arrives by an address that names them and these rooms. */
  static async enters(name, rooms, options) {
    const person = await Person.arrive(name, options);
    await person.page.goto(addressOf(name, rooms));
    await person.isLive();
    await person.seesInRoom(name);
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
    return this.page.waitForSelector('#state[data-state="live"]', { timeout: RECONNECT_MS });
  }

  /** Waits until so many of their messages are kept for the next page, because nobody has acknowledged them. */
  hasInOutbox(count) {
    return this.until(async ([name, count]) => {
      const { outbox } = await import('/client/outbox.js');
      return (await outbox(name).load()).length === count;
    }, [`tidewire.${this.name}`, count]);
  }

  /** A part of the column with this conversation. */
  in(conversation, selector, options) {
    return this.page.locator(`.pane[data-shows="${conversation}"] ${selector}`, options);
  }

  async say(text) {
    await this.page.fill('#composer', text);
    await this.page.press('#composer', 'Enter');
  }

  /** Waits until a message with exactly this text is on the page. */
  async sees(from, text) {
    const messages = this.page.locator(`.message[data-from="${from}"] .text`);
    await messages.getByText(text, { exact: true }).first().waitFor();
  }

  /** How often a text is in the conversation of the first column. */
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

  /** Waits until a function in the page returns something true. */
  until(condition, argument) {
    return this.page.waitForFunction(condition, argument, { timeout: PATIENCE_MS });
  }

  /** The texts of the messages in the first column, in order. */
  texts() {
    return this.page.locator('#log .message .text').allTextContents();
  }

  async screenshot(name) {
    await mkdir(directory, { recursive: true });
    // Let transitions end, so that a picture shows a state and not a way to it.
    await this.page.waitForTimeout(400);
    await this.page.screenshot({ path: join(directory, name) });
  }

  /** A screenshot that the docs show. */
  async picture(name) {
    await this.screenshot(name);
    if (docs === undefined) return;
    await mkdir(docs, { recursive: true });
    await copyFile(join(directory, name), join(docs, name));
  }

  async leave() {
    assert.deepEqual(this.problems, []);
    everybody.splice(everybody.indexOf(this), 1);
    await this.context.close();
  }
}

export function addressOf(name, rooms) {
  const query = new URLSearchParams({ name });
  for (const room of rooms) query.append('room', room);
  return `${url}?${query}`;
}

/** Publishes without a page: an answer that is no 201 or 200 fails. */
export async function publish(room, from, content) {
  const body = JSON.stringify({ from, content });
  const headers = { 'Content-Type': 'application/json' };
  const response = await fetch(`${url}api/rooms/${encodeURIComponent(room)}/messages`, { method: 'POST', headers, body });
  assert.ok(response.ok, `${response.status} ${await response.text()}`);
}

/** Runs the steps in order, each a name and a function, and ends the process: well if all did. */
export async function play(steps) {
  try {
    for (const [name, step] of Object.entries(steps)) {
      console.log(name);
      await step();
    }
    for (const { name, problems } of everybody) assert.deepEqual(problems, [], `on the page of ${name}`);
  } catch (error) {
    for (const person of everybody) await person.screenshot(`failed-${person.name}.png`).catch(() => {});
    console.error(error);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
  process.exit();
}
