// How the page looks and how it is used without a mouse: axe finds no fault in any of its states, in light and dark, on a
// screen and on a phone; the keyboard gets everywhere. The pictures of the docs are made here.

import assert from 'node:assert/strict';
import { PHONE, isAccessible } from './accessible.mjs';
import { Person, addressOf, play, publish, url } from './person.mjs';

const IN_THE_LOG = '#log .message';

/** Presses Tab until the focus is on what the selector names. */
async function tabTo(person, selector, key = 'Tab') {
  for (let presses = 0; presses < 80; presses += 1) {
    await person.page.keyboard.press(key);
    if (await person.page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
  }
  assert.fail(`the keyboard does not get to ${selector}`);
}

const focused = (person) => person.page.evaluate(() => document.activeElement.id);

/** What a person's page cannot say by itself: the line is cut, or the server refuses a message. */
async function breakableLine(person) {
  const line = { isDown: false, sockets: new Set() };
  // What a WebSocket falls back to could not be cut.
  await person.page.route(/\/(sse|poll)\b/, (route) => route.abort());
  await person.page.routeWebSocket(/\/ws/, (socket) => {
    if (line.isDown) {
      socket.close();
      return;
    }
    line.sockets.add(socket);
    const server = socket.connectToServer();
    socket.onMessage((text) => {
      const { content, seq } = JSON.parse(text);
      if (content !== 'Refuse me') server.send(text);
      else socket.send(JSON.stringify({ type: 'error', code: 'rate_limited', message: 'You are sending too fast.', seq }));
    });
  });
  return line;
}

/** Cuts Ada's line. */
async function cut() {
  line.isDown = true;
  for (const socket of line.sockets) await socket.close();
  line.sockets.clear();
  await ada.page.locator('#banner').waitFor();
}

/** A view of a harbour in few flat colours, as a PNG. */
const harbourView = (person) =>
  person.page.evaluate(async () => {
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width: 840, height: 460 });
    const pen = canvas.getContext('2d');
    const area = (colour, points) => {
      pen.fillStyle = colour;
      pen.beginPath();
      for (const [x, y] of points) pen.lineTo(x, y);
      pen.fill();
    };
    ['#f7d9a8', '#f3bf8b', '#eda378', '#e0876d'].forEach((colour, band) => area(colour, [[0, band * 62], [840, band * 62], [840, 300], [0, 300]]));
    pen.fillStyle = '#fff3d1';
    pen.beginPath();
    pen.arc(560, 214, 58, 0, 7);
    pen.fill();
    area('#7a5a72', [[0, 268], [120, 190], [230, 240], [330, 176], [470, 262], [640, 232], [840, 266], [840, 320], [0, 320]]);
    ['#1f6f86', '#1a5f78', '#154f69', '#10405a'].forEach((colour, row) => {
      const points = [[0, 460]];
      for (let x = 0; x <= 840; x += 6) points.push([x, 270 + row * 46 + Math.sin(x / 52 + row * 1.7) * 9]);
      area(colour, [...points, [840, 460]]);
    });
    area('#0c2c3f', [[214, 330], [336, 330], [312, 356], [236, 356]]);
    area('#fdf6e8', [[270, 212], [270, 322], [206, 322]]);
    area('#f0dcc0', [[280, 232], [280, 322], [330, 322]]);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
    return Array.from(new Uint8Array(await blob.arrayBuffer()));
  });

const file = (name, mimeType, buffer) => ({ name, mimeType, buffer });

const ada = await Person.arrive('Ada');
const line = await breakableLine(ada);
let linus;
let carol;

await play({
  async 'the form'() {
    await ada.page.goto(url);
    await ada.page.evaluate(() => document.documentElement.removeAttribute('lang'));
    await assert.rejects(isAccessible(ada, 'a page without a language'), /html-has-lang/, 'axe sees nothing');
    await ada.page.evaluate(() => document.documentElement.setAttribute('lang', 'en'));
    await isAccessible(ada, 'the form');
    await ada.screenshot('welcome.png');
    await ada.page.click('#enter');
    await ada.page.locator('#join-error', { hasText: 'your name' }).waitFor();
    await isAccessible(ada, 'the form with a fault');
  },

  async 'an empty room'() {
    await ada.page.goto(addressOf('Ada', ['harbour', 'kitchen', 'night-watch']));
    await ada.isLive();
    await ada.seesInRoom('Ada');
    await isAccessible(ada, 'an empty room');
  },

  async 'a conversation'() {
    linus = await Person.enters('Linus', ['harbour', 'kitchen']);
    carol = await Person.enters('Carol', ['harbour', 'kitchen']);
    await ada.say('Morning! Who is at the harbour?');
    await linus.sees('Ada', 'Morning! Who is at the harbour?');
    await linus.say('On the pier since six. The light is worth it:');
    await carol.sees('Linus', 'On the pier since six. The light is worth it:');
    const view = Buffer.from(await harbourView(linus));
    await linus.page.setInputFiles('#files', [file('pier-at-six.png', 'image/png', view)]);
    await linus.page.locator('.upload[data-state="done"]').waitFor();
    await linus.page.press('#composer', 'Enter');
    await ada.page.locator('.picture img').waitFor();
    await carol.say('Beautiful. Is the ferry on time?');
    await ada.sees('Carol', 'Beautiful. Is the ferry on time?');
    await ada.page.setInputFiles('#files', [file('timetable.pdf', 'application/pdf', Buffer.alloc(183_000, '%PDF'))]);
    await ada.page.locator('.upload[data-state="done"]').waitFor();
    await ada.say('Ten minutes late, as ever. Here is the new timetable.');
    await linus.sees('Ada', 'Ten minutes late, as ever. Here is the new timetable.');
    await linus.say('I take it. See you on board!');
    await ada.sees('Linus', 'I take it. See you on board!');
    await isAccessible(ada, 'a conversation');
  },

  async 'unread rooms, and columns side by side'() {
    await linus.page.click('#people [data-user="Ada"] button');
    await linus.say('Shall I keep you a seat?');
    await linus.open('#kitchen');
    await linus.say('There is coffee left.');
    await ada.page.waitForSelector('[data-conversation="#kitchen"] .unread');
    await ada.page.waitForSelector('[data-conversation="@Linus"] .unread');
    await isAccessible(ada, 'unread rooms');
    await ada.until(() => [...document.querySelectorAll('.picture img')].every(({ complete }) => complete));
    await ada.picture('chat.png');
    await publish('harbour', 'Tide gauge', { level: 2.41, trend: 'rising' });
    await ada.page.locator('.json').waitFor();
    await isAccessible(ada, 'a content that is no message');
    await ada.open('@Linus');
    await ada.page.locator('#log .new-line').waitFor();
    await isAccessible(ada, 'the line where reading stopped');
    await ada.say('Please! By the window.');
    await linus.page.waitForSelector('[data-conversation="@Ada"] .unread');
    await linus.open('@Ada');
    await linus.say('Starboard it is.');
    await ada.sees('Linus', 'Starboard it is.');
    await ada.open('#harbour');
    await ada.page.hover('[data-conversation="@Linus"]');
    await ada.page.click('[data-beside="@Linus"]');
    await ada.page.mouse.move(640, 30);
    await isAccessible(ada, 'two columns');
    await ada.page.emulateMedia({ colorScheme: 'dark' });
    await ada.picture('chat-dark.png');
  },

  async 'files before they are sent, and messages that failed'() {
    await ada.page.click('#close-2');
    await ada.page.route('**/api/files?name=broken*', (route) => route.abort());
    await ada.page.route('**/api/files?name=stuck*', () => {});
    const view = Buffer.from(await harbourView(linus));
    await ada.page.setInputFiles('#files', [
      file('pier.png', 'image/png', view),
      file('broken.txt', 'text/plain', Buffer.alloc(10)),
      file('stuck.txt', 'text/plain', Buffer.alloc(10)),
    ]);
    for (const state of ['done', 'failed', 'running']) await ada.page.locator(`.upload[data-state="${state}"]`).waitFor();
    await isAccessible(ada, 'files in the tray');
    await ada.screenshot('chat-files.png');
    for (const name of ['pier.png', 'broken.txt', 'stuck.txt']) await ada.page.click(`.upload-remove[aria-label$=" ${name}"]`);
    await ada.say('Refuse me');
    await ada.page.locator(`${IN_THE_LOG}[data-delivery="failed"]`).waitFor();
    await isAccessible(ada, 'a failed message');
    await ada.page.click('.discard');
  },

  async 'what explains the connection, and its loss'() {
    await ada.page.click('#transport');
    await ada.page.locator('#connection').waitFor();
    await isAccessible(ada, 'the connection explained');
    await ada.page.keyboard.press('Escape');
    await cut();
    await isAccessible(ada, 'the connection lost');
    line.isDown = false;
    await ada.isLive();
  },

  async 'a phone'() {
    const grace = await Person.enters('Grace', ['harbour', 'kitchen'], PHONE);
    await grace.sees('Linus', 'I take it. See you on board!');
    await isAccessible(grace, 'a phone');
    await publish('kitchen', 'Carol', 'Dinner at eight');
    await grace.page.locator('#menu-unread').waitFor();
    await grace.picture('chat-phone.png');
    await grace.page.click('#menu');
    await grace.page.locator('#sidebar[data-open]').waitFor();
    await isAccessible(grace, 'the drawer on a phone');
    await grace.screenshot('chat-phone-menu.png');
    await grace.page.keyboard.press('Escape');
    assert.equal(await focused(grace), 'menu');
    await grace.leave();
    await ada.page.setViewportSize(PHONE.viewport);
    await cut();
    await isAccessible(ada, 'a phone whose connection is lost');
    await ada.screenshot('chat-phone-lost.png');
    line.isDown = false;
    await ada.isLive();
  },

  async 'the keyboard gets everywhere'() {
    const dan = await Person.enters('Dan', ['harbour', 'kitchen']);
    await dan.page.evaluate(() => document.activeElement.blur());
    await tabTo(dan, '.skip');
    await dan.page.keyboard.press('Enter');
    assert.equal(await focused(dan), 'composer');
    await dan.page.keyboard.type('Typed, not clicked');
    await dan.page.keyboard.press('Enter');
    await linus.page.waitForSelector('[data-conversation="#harbour"] .unread');
    await tabTo(dan, '#attach', 'Shift+Tab');
    await tabTo(dan, '.picture', 'Shift+Tab');
    await tabTo(dan, '#log', 'Shift+Tab');
    await tabTo(dan, '#copy-link', 'Shift+Tab');
    await tabTo(dan, '#people [data-user="Linus"] button', 'Shift+Tab');
    await tabTo(dan, '[data-beside="#kitchen"]', 'Shift+Tab');
    await dan.page.keyboard.press('Enter');
    assert.equal(await focused(dan), 'composer-2');
    await tabTo(dan, '#close-2', 'Shift+Tab');
    await dan.page.keyboard.press('Enter');
    assert.equal(await focused(dan), 'composer');
    await tabTo(dan, '#transport');
    await tabTo(dan, '#room-more', 'Shift+Tab');
    await dan.page.keyboard.type('attic');
    await dan.page.keyboard.press('Enter');
    assert.equal(await focused(dan), 'composer');
    await dan.page.locator('#title', { hasText: 'attic' }).waitFor();
    await tabTo(dan, '[data-leave="#attic"]', 'Shift+Tab');
    await dan.page.keyboard.press('Enter');
    await dan.until(() => document.querySelector('[data-conversation="#attic"]') === null);
    assert.equal(await focused(dan), 'composer');
    await dan.leave();
  },
});
