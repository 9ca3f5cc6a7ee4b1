// Reading back: older messages come as one scrolls up, without moving what is read, until the beginning or until they are
// not kept any more; and the page gives back what is far above once the reader is at the end again.

import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { Person, addressOf, play, publish, url } from './person.mjs';

/** More than the page keeps while its reader is at the end (500). */
const SAID = 640;
const OLDER = '#log .older';

for (let number = 1; number <= SAID; number += 1) await publish('harbour', 'Grace', `number ${number}`);
// The server keeps forty messages here, and a page of the page has fifty.
for (let number = 1; number <= 60; number += 1) await publish('short', 'Grace', `brief ${number}`);

const ada = await Person.arrive('Ada');
/** Answers about history that are held back, or null while they go through. */
let held = null;
/** Whether the next answer shows a part of the log that cannot be read. */
let isDamaged = false;
await ada.page.routeWebSocket(/\/ws/, (socket) => {
  const server = socket.connectToServer();
  server.onMessage((text) => {
    const isHistory = JSON.parse(text).type === 'history';
    if (held !== null && isHistory) held.push(() => socket.send(text));
    else if (isDamaged && isHistory) for (const part of damaged(JSON.parse(text))) socket.send(JSON.stringify(part));
    else socket.send(text);
  });
});

/** The answer of a server whose disk has lost four messages in the middle of this page. */
function damaged(answer) {
  isDamaged = false;
  const { epoch, offset } = answer.messages[20];
  const { roomId, id, messages } = answer;
  const gap = { type: 'gap', roomId, id, reason: 'damaged', from: `${epoch}-${offset - 5}`, to: `${epoch}-${offset - 1}` };
  return [gap, { ...answer, messages: messages.slice(20), more: true }];
}

await ada.page.goto(addressOf('Ada', ['harbour', 'short']));
await ada.isLive();

const numbers = async (person) => (await person.texts()).map((text) => Number(text.split(' ')[1]));
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const scrollTo = (person, top) => person.page.locator('#log').evaluate((log, y) => (log.scrollTop = y), top);
const beginsWith = (person, text) =>
  person.until((wanted) => document.querySelector('#log .message .text')?.textContent === wanted, text);

/** Where a message is on the screen. */
const placeOf = (person, text) =>
  person.page.evaluate((wanted) => {
    const texts = [...document.querySelectorAll('#log .message .text')];
    return Math.round(texts.find(({ textContent }) => textContent === wanted).getBoundingClientRect().top);
  }, text);

/** Scrolls up until the conversation shows its top. */
async function readToTheTop(person) {
  for (;;) {
    await person.until(() => document.querySelector('#log .older')?.dataset.state !== 'loading');
    const state = await person.page.getAttribute(OLDER, 'data-state');
    if (state !== 'more') return state;
    const first = (await person.texts())[0];
    await scrollTo(person, 0);
    await person.until((old) => document.querySelector('#log .message .text').textContent !== old, first);
  }
}

await play({
  async 'one comes in at the end, with a page of what was said before'() {
    await ada.sees('Grace', `number ${SAID}`);
    assert.deepEqual(await numbers(ada), range(SAID - 49, SAID));
    const distance = await ada.page.locator('#log').evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight);
    assert.ok(distance < 2, 'the newest message is in sight');
    assert.equal(await ada.page.getAttribute(OLDER, 'data-state'), 'more');
  },

  async 'older ones come as one scrolls up, and what is read stays where it is'() {
    held = [];
    await scrollTo(ada, 400);
    await ada.page.locator(`${OLDER}[data-state="loading"]`, { hasText: 'Loading' }).waitFor({ state: 'attached' });
    const read = `number ${SAID - 35}`;
    const before = await placeOf(ada, read);
    while (held.length === 0) await ada.page.waitForTimeout(10);
    const answers = held;
    held = null;
    for (const answer of answers) answer();
    await beginsWith(ada, `number ${SAID - 99}`);
    assert.equal(await placeOf(ada, read), before, 'nothing jumped');
    assert.deepEqual(await numbers(ada), range(SAID - 99, SAID));
  },

  async 'what is said meanwhile does not move a reader who is up there'() {
    const read = `number ${SAID - 35}`;
    const before = await placeOf(ada, read);
    await publish('harbour', 'Grace', `number ${SAID + 1}`);
    await ada.page.locator('#jump', { hasText: '1 new message' }).waitFor();
    assert.equal(await placeOf(ada, read), before);
    await ada.until(() => document.title.startsWith('(1)'));
  },

  async 'the keyboard gets there, too'() {
    await scrollTo(ada, 1_000_000);
    await ada.until(() => document.querySelector('#jump').hidden);
    const first = (await ada.texts())[0];
    await ada.page.focus(`${OLDER} button`);
    await ada.page.keyboard.press('Enter');
    await ada.until((old) => document.querySelector('#log .message .text').textContent !== old, first);
  },

  async 'the top is the beginning, with every message once'() {
    assert.equal(await readToTheTop(ada), 'beginning');
    assert.deepEqual(await numbers(ada), range(1, SAID + 1));
    assert.match(await ada.page.textContent(OLDER), /This is the beginning of harbour/);
  },

  async 'what is far above leaves when the reader is at the end, and comes back when they are not'() {
    await ada.page.click('#jump');
    await ada.until(() => document.querySelectorAll('#log .message').length <= 500);
    assert.equal((await numbers(ada)).at(-1), SAID + 1);
    assert.equal(await ada.page.getAttribute(OLDER, 'data-state'), 'more');
    assert.equal(await readToTheTop(ada), 'beginning');
    assert.deepEqual(await numbers(ada), range(1, SAID + 1));
  },

  async 'a hole is named, and what lies above it comes'() {
    await ada.page.reload();
    await ada.isLive();
    await ada.sees('Grace', `number ${SAID + 1}`);
    isDamaged = true;
    await scrollTo(ada, 300);
    await ada.page.locator('#log .note', { hasText: '4 messages cannot be read back' }).waitFor({ state: 'attached' });
    assert.equal(await readToTheTop(ada), 'beginning');
    const hole = SAID + 1 - 50 - 30;
    assert.deepEqual(await numbers(ada), [...range(1, hole - 4), ...range(hole + 1, SAID + 1)]);
  },

  async 'it says so when older ones are not kept'() {
    await ada.open('#short');
    await ada.sees('Grace', 'brief 60');
    assert.equal(await readToTheTop(ada), 'lost');
    const kept = await numbers(ada);
    assert.deepEqual(kept, range(61 - kept.length, 60));
    assert.ok(kept.length < 60);
    assert.match(await ada.page.textContent(OLDER), /not kept any more/);
    for (const name of ['beginning', 'start']) {
      await ada.page.fill('#room-more', name);
      await ada.page.press('#room-more', 'Enter');
      await ada.seesInRoom('Ada');
      await ada.say('First');
      await ada.page.locator(OLDER, { hasText: `This is the beginning of ${name}.` }).waitFor();
    }
  },

  async 'private conversations begin with what was written before'() {
    const grace = await Person.enters('Grace', ['harbour']);
    await grace.page.click('#people [data-user="Ada"] button');
    for (let number = 1; number <= 130; number += 1) await grace.say(`secret ${number}`);
    await grace.until(() => document.querySelectorAll('[data-delivery="sending"]').length === 0);
    const linus = await Person.enters('Linus', ['harbour']);
    await linus.page.click('#people [data-user="Ada"] button');
    await linus.say('secret of Linus');
    await linus.page.waitForSelector('[data-delivery="kept"]');
    await ada.page.locator('[data-conversation="@Grace"] .unread', { hasText: '99+' }).waitFor();
    await ada.page.waitForSelector('[data-conversation="@Linus"] .unread');
    await ada.page.reload();
    await ada.isLive();
    await ada.open('@Grace');
    await ada.sees('Grace', 'secret 130');
    assert.equal(await readToTheTop(ada), 'beginning');
    assert.deepEqual(await numbers(ada), range(1, 130));
    await ada.open('@Linus');
    await ada.sees('Linus', 'secret of Linus');
    assert.deepEqual(await ada.texts(), ['secret of Linus'], 'they do not mix');
    await ada.say('I can keep it');
    await ada.page.waitForSelector('[data-mine][data-delivery="kept"]');
    await ada.hasInOutbox(0);
    await ada.page.reload();
    await ada.isLive();
    await ada.open('@Linus');
    await ada.sees('Linus', 'secret of Linus');
    assert.equal(await ada.count('I can keep it'), 0);
    await ada.page.locator(OLDER, { hasText: 'What you wrote yourself before you opened this page is kept for Linus alone' }).waitFor();
    await ada.screenshot('private-again.png');
  },

  async 'who only comes and goes takes nobody\'s message away'() {
    for (const number of range(1, 20)) await publish('gate', 'Grace', `number ${number}`);
    const eve = await Person.enters('Eve', ['gate']);
    await eve.sees('Grace', 'number 20');
    const pass = (number) =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(`${new URL('/ws', url).href.replace('http', 'ws')}?userId=passer-${number}&room=gate`);
        socket.on('message', (data) => JSON.parse(data).type === 'joined' && socket.close());
        socket.on('close', resolve);
        socket.on('error', reject);
      });
    for (let number = 0; number < 300; number += 20) await Promise.all(range(number, number + 19).map(pass));
    await publish('gate', 'Grace', 'number 21');
    await eve.sees('Grace', 'number 21');
    assert.deepEqual(await numbers(eve), range(1, 21));
    await eve.leave();
  },
});
