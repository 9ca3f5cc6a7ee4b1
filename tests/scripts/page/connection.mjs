// What the page says of its connection: its state, what carries it and how fast that is; and what became of messages that
// the server did not take.

import assert from 'node:assert/strict';
import { Person, addressOf, play, publish, url } from './person.mjs';

const ada = await Person.enters('Ada', ['harbour']);
const linus = await Person.enters('Linus', ['harbour']);
const delivery = (person, state) => person.page.locator(`#log .message[data-delivery="${state}"]`);

await play({
  async 'a badge says what carries the connection, and how fast it is'() {
    await ada.say('Hello');
    await ada.page.locator('#transport[data-transport="websocket"][data-latency]').waitFor();
    assert.match(await ada.page.textContent('#transport-text'), /^WebSocket · \d+ ms$/);
    assert.match(await ada.page.getAttribute('#transport', 'title'), /One connection carries messages both ways/);
  },

  async 'it explains itself, with the keyboard too'() {
    await ada.page.focus('#transport');
    await ada.page.keyboard.press('Enter');
    await ada.page.locator('#connection', { hasText: 'One connection carries messages both ways' }).waitFor();
    await ada.page.keyboard.press('Escape');
    await ada.page.locator('#connection').waitFor({ state: 'hidden' });
  },

  async 'on a phone it is a point with the same words'() {
    await ada.page.setViewportSize({ width: 390, height: 844 });
    const box = await ada.page.locator('#transport').boundingBox();
    assert.ok(box.width <= 40 && box.x + box.width <= 390, JSON.stringify(box));
    await ada.page.click('#transport');
    await ada.page.locator('#connection', { hasText: 'WebSocket' }).waitFor();
    await ada.page.click('#title');
    await ada.page.locator('#connection').waitFor({ state: 'hidden' });
    await ada.page.setViewportSize({ width: 1280, height: 800 });
  },

  async 'it says what is left where no WebSocket gets through'() {
    for (const [transport, name] of [['sse', 'Event stream'], ['poll', 'Polling']]) {
      const dan = await Person.arrive('Dan');
      await dan.page.routeWebSocket(/\/ws/, (socket) => socket.close());
      if (transport === 'poll') await dan.page.route(/\/sse\b/, (route) => route.abort());
      await dan.page.goto(addressOf('Dan', ['harbour']));
      await dan.isLive();
      await dan.seesInRoom('Linus');
      await dan.say(`By ${transport}`);
      await linus.sees('Dan', `By ${transport}`);
      await linus.say(`I read you by ${transport}`);
      await dan.sees('Linus', `I read you by ${transport}`);
      await dan.page.locator(`#transport[data-transport="${transport}"][data-latency]`, { hasText: name }).waitFor();
      assert.match(await dan.page.getAttribute('#transport', 'title'), /got through/);
      await dan.leave();
    }
  },

  async 'what was not sent before the page was reloaded is sent after it, once'() {
    let isCut = true;
    const carol = await Person.arrive('Carol');
    await carol.page.routeWebSocket(/\/ws/, (socket) => (isCut ? socket.close() : socket.connectToServer()));
    await carol.page.route(/\/(sse|poll|api)\b/, (route) => (isCut ? route.abort() : route.continue()));
    await carol.page.goto(addressOf('Carol', ['harbour']));
    await carol.page.locator('#banner', { hasText: 'The server cannot be reached.' }).waitFor();
    await carol.say('Before the reload');
    await delivery(carol, 'sending').waitFor();
    await carol.hasInOutbox(1);
    await carol.page.reload();
    await delivery(carol, 'sending').getByText('Before the reload').waitFor();
    isCut = false;
    await linus.sees('Carol', 'Before the reload');
    await carol.isLive();
    await delivery(carol, 'kept').getByText('Before the reload').waitFor();
    await carol.hasInOutbox(0);
    await carol.page.reload();
    await carol.sees('Carol', 'Before the reload');
    for (const person of [carol, linus]) assert.equal(await person.count('Before the reload'), 1);
    await carol.leave();
  },

  async 'what was kept before the reload, but not acknowledged, stays one message in its place'() {
    let losesAcks = true;
    const grace = await Person.arrive('Grace');
    await grace.page.routeWebSocket(/\/ws/, (socket) => {
      const server = socket.connectToServer();
      server.onMessage((text) => (losesAcks && JSON.parse(text).type === 'ack' ? undefined : socket.send(text)));
    });
    await grace.page.goto(addressOf('Grace', ['pier']));
    await grace.isLive();
    await grace.seesInRoom('Grace');
    await grace.say('Kept at once');
    await isKept('pier', 1);
    await publish('pier', 'Linus', 'Said after it');
    await grace.sees('Linus', 'Said after it');
    losesAcks = false;
    await grace.page.reload();
    await grace.sees('Linus', 'Said after it');
    await grace.hasInOutbox(0);
    await grace.until(() => document.querySelector('#log [data-delivery="sending"]') === null);
    assert.deepEqual(await grace.texts(), ['Kept at once', 'Said after it']);
    await grace.leave();
  },

  async 'what the server refuses is marked, and sent by hand or thrown away'() {
    // Twice the rate goes at once, the next is dropped; so these are written faster than anybody types.
    await ada.page.evaluate(() => {
      const box = document.querySelector('#composer');
      for (let number = 1; number <= 40; number += 1) {
        box.value = `quick ${number}`;
        box.dispatchEvent(new Event('input'));
        box.form.requestSubmit();
      }
    });
    await delivery(ada, 'failed').first().waitFor();
    await ada.until(() => document.querySelector('#log [data-delivery="sending"]') === null);
    const failed = await delivery(ada, 'failed').locator('.text').allTextContents();
    assert.ok(failed.length >= 2, `${failed}`);
    assert.match(await delivery(ada, 'failed').first().locator('.failure').textContent(), /^Not sent\. .*\.Try againDiscard$/);
    for (const text of failed) assert.equal(await linus.count(text), 0, `${text} failed and is there`);
    await ada.page.locator('.discard').first().click();
    await ada.until((text) => ![...document.querySelectorAll('#log .text')].some((node) => node.textContent === text), failed[0]);
    assert.equal(await ada.page.evaluate(() => document.activeElement.id), 'composer', 'the focus is where one goes on');
    const again = failed[1];
    await retryUntilKept(again);
    await linus.sees('Ada', again);
    assert.equal(await linus.count(again), 1);
    assert.equal(await ada.count(again), 1);
  },
});

/** Waits until so many messages of a room are kept. */
async function isKept(room, count) {
  const kept = async () => (await (await fetch(`${url}api/rooms/${room}/messages`)).json()).messages.length;
  for (let looks = 1; (await kept()) < count; looks += 1) {
    assert.ok(looks < 400, `${room} never has ${count}`);
    await ada.page.waitForTimeout(50);
  }
}

/** The server takes few messages a second, so the first try may be too early again. */
async function retryUntilKept(text) {
  const message = ada.page.locator('#log .message', { has: ada.page.getByText(text, { exact: true }) });
  const retry = message.locator('.retry');
  while ((await message.getAttribute('data-delivery')) !== 'kept') {
    // The last try may succeed between looking and clicking.
    if (await retry.isVisible()) await retry.click({ timeout: 1_000 }).catch(() => {});
    await ada.page.waitForTimeout(300);
  }
}
