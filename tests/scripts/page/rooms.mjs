// Several rooms in one stay: joined and left from the sidebar, counted while they are unread, kept by the address, and shown
// side by side. On a phone one is seen at a time.

import assert from 'node:assert/strict';
import { Person, addressOf, play, publish } from './person.mjs';

const ada = await Person.enters('Ada', ['harbour', 'kitchen']);
const linus = await Person.enters('Linus', ['harbour', 'garden']);

const roomsInAddress = (person) => new URL(person.page.url()).searchParams.getAll('room');
const roomsInSidebar = (person) =>
  person.page.locator('#rooms [data-conversation]').evaluateAll((rooms) => rooms.map((room) => room.dataset.conversation));
const columns = (person) => person.page.locator('.pane').evaluateAll((panes) => panes.map((pane) => pane.dataset.shows));
/** What the sidebar says of unread messages, by waiting for it. */
const counts = (person, conversation, text) =>
  person.page.locator(`[data-conversation="${conversation}"] .unread`).getByText(text, { exact: true }).waitFor();

await play({
  async 'the rooms of the address are joined, the first is in front'() {
    assert.deepEqual(await roomsInSidebar(ada), ['#harbour', '#kitchen']);
    assert.equal(await ada.page.textContent('#title'), 'harbour');
    assert.equal(await ada.page.title(), 'harbour · Tidewire');
  },

  async 'a room is joined from the sidebar'() {
    await ada.page.fill('#room-more', 'garden');
    await ada.page.press('#room-more', 'Enter');
    await ada.seesInRoom('Linus');
    assert.equal(await ada.page.textContent('#title'), 'garden');
    assert.deepEqual(roomsInAddress(ada), ['garden', 'harbour', 'kitchen'], 'the one in front comes first');
    await ada.say('Tomatoes?');
    await linus.open('#garden');
    await linus.sees('Ada', 'Tomatoes?');
  },

  async 'a name that cannot be one is refused in a sentence'() {
    await ada.page.fill('#room-more', '@linus');
    await ada.page.press('#room-more', 'Enter');
    await ada.page.locator('#join-room-error', { hasText: 'cannot begin with' }).waitFor();
    for (const name of ['*', '$canary', '$cluster']) {
      await ada.page.fill('#room-more', name);
      await ada.page.press('#room-more', 'Enter');
      await ada.page.locator('#join-room-error', { hasText: `cannot be called “${name}”` }).waitFor();
    }
    await ada.page.fill('#room-more', 'harbour');
    await ada.page.press('#room-more', 'Enter');
    assert.equal(await ada.page.textContent('#join-room-error'), '');
    assert.equal(await ada.page.textContent('#title'), 'harbour', 'a room that is there already is opened');
    assert.deepEqual(await roomsInSidebar(ada), ['#harbour', '#kitchen', '#garden']);
  },

  async 'what is said in other rooms is counted'() {
    for (const text of ['Aubergines', 'Basil', 'Chard']) await publish('garden', 'Linus', text);
    await publish('kitchen', 'Carol', 'Dinner at eight');
    await counts(ada, '#garden', '3');
    await counts(ada, '#kitchen', '1');
    assert.equal(await ada.page.title(), '(4) harbour · Tidewire');
    await ada.open('#garden');
    await ada.sees('Linus', 'Chard');
    await ada.page.locator('#log .new-line').waitFor();
    const afterLine = await ada.page.locator('#log .new-line ~ .message .text').allTextContents();
    assert.deepEqual(afterLine, ['Aubergines', 'Basil', 'Chard'], 'the line is where reading stopped');
    await ada.until(() => document.title === '(1) garden · Tidewire');
    assert.equal(await ada.page.locator('[data-conversation="#garden"] .unread').count(), 0);
    // Who answers has read.
    await ada.say('All of them');
    await ada.page.locator('#log .new-line').waitFor({ state: 'detached' });
  },

  async 'two conversations are open side by side'() {
    await ada.page.hover('[data-conversation="#kitchen"]');
    await ada.page.click('[data-beside="#kitchen"]');
    assert.deepEqual(await columns(ada), ['#garden', '#kitchen']);
    await ada.until(() => document.title === 'kitchen · Tidewire');
    await ada.page.fill('#composer-2', 'I will be late');
    await ada.page.press('#composer-2', 'Enter');
    await ada.page.fill('#composer', 'Leave some basil');
    await ada.page.press('#composer', 'Enter');
    await ada.in('#kitchen', '.message[data-delivery="kept"] .text').getByText('I will be late').waitFor();
    await ada.in('#garden', '.message[data-delivery="kept"] .text').getByText('Leave some basil').waitFor();
    await linus.sees('Ada', 'Leave some basil');
    // Both are seen, so neither is counted.
    await publish('kitchen', 'Carol', 'No hurry');
    await ada.in('#kitchen', '.text').getByText('No hurry').waitFor();
    await publish('garden', 'Linus', 'There is plenty');
    await ada.in('#garden', '.text').getByText('There is plenty').waitFor();
    await ada.until(() => document.querySelector('#rooms .unread') === null);
    assert.equal(await ada.in('#garden', '.text').getByText('No hurry').count(), 0);
  },

  async 'ids are there once, and labels lead to their own column'() {
    const ids = await ada.page.evaluate(() => Array.from(document.querySelectorAll('[id]'), ({ id }) => id));
    assert.deepEqual(ids.filter((id, at) => ids.indexOf(id) !== at), []);
    const labels = await ada.page.locator('.compose label').evaluateAll((all) => all.map(({ control }) => control.id));
    assert.deepEqual(labels, ['composer', 'composer-2']);
  },

  async 'a third column is the last'() {
    await ada.page.hover('[data-conversation="#harbour"]');
    await ada.page.click('[data-beside="#harbour"]');
    // It opens to the right of the one that was used last.
    assert.deepEqual(await columns(ada), ['#garden', '#harbour', '#kitchen']);
    await ada.page.click('#people [data-user="Linus"] button');
    assert.deepEqual(await columns(ada), ['#garden', '@Linus', '#kitchen'], 'what is opened takes the place of the active one');
    assert.equal(await ada.page.isVisible('[data-beside="#harbour"]'), false);
  },

  async 'a draft waits in its conversation'() {
    await ada.in('@Linus', 'textarea').fill('Between us');
    await ada.open('#harbour');
    assert.equal(await ada.in('#harbour', 'textarea').inputValue(), '');
    await ada.open('@Linus');
    assert.equal(await ada.in('@Linus', 'textarea').inputValue(), 'Between us');
    await ada.in('@Linus', 'textarea').press('Enter');
    await linus.page.waitForSelector('#private [data-conversation="@Ada"] .unread');
  },

  async 'a column is closed, and a room left'() {
    await ada.in('@Linus', '[data-part="close"]').click();
    assert.deepEqual(await columns(ada), ['#garden', '#kitchen']);
    await ada.page.hover('[data-conversation="#garden"]');
    await ada.page.click('[data-leave="#garden"]');
    await ada.until(() => document.querySelectorAll('.pane').length === 1);
    assert.deepEqual(await roomsInSidebar(ada), ['#harbour', '#kitchen']);
    await linus.open('#garden');
    await linus.seesNotInRoom('Ada');
    assert.equal(roomsInAddress(ada).includes('garden'), false);
    // What the first column was called is called so again.
    assert.equal(await ada.page.locator('#log').count(), 1);
    assert.deepEqual(await columns(ada), ['#kitchen']);
  },

  async 'the address brings the rooms back'() {
    const rooms = roomsInAddress(ada);
    await ada.page.reload();
    await ada.isLive();
    assert.deepEqual(await roomsInSidebar(ada), rooms.map((room) => `#${room}`));
    await ada.open('#kitchen');
    await ada.sees('Carol', 'No hurry');
  },

  async 'on a phone one conversation is seen at a time'() {
    const phone = await Person.enters('Grace', ['harbour', 'kitchen'], { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    await phone.page.click('#menu');
    await phone.open('#kitchen');
    await phone.sees('Carol', 'No hurry');
    assert.equal(await phone.page.getAttribute('#menu', 'aria-expanded'), 'false');
    assert.equal(await phone.page.locator('[data-beside]:visible').count(), 0);
    await publish('harbour', 'Linus', 'Ahoy');
    await phone.page.locator('#menu-unread').waitFor();
    assert.equal(await phone.page.getAttribute('#menu', 'aria-label'), 'Open the menu, 1 unread message');
    const wide = await phone.page.evaluate(() => document.scrollingElement.scrollWidth > document.documentElement.clientWidth);
    assert.equal(wide, false, 'nothing sticks out to the right');
    await phone.leave();
  },

  async 'who leaves the last room is back at the form'() {
    const grace = await Person.enters('Grace', ['attic']);
    await grace.page.hover('[data-conversation="#attic"]');
    await grace.page.click('[data-leave="#attic"]');
    await grace.page.waitForSelector('#enter');
    assert.equal(await grace.page.inputValue('#room'), 'attic');
    await grace.page.goBack();
    await grace.isLive();
    await grace.leave();
  },

  async 'a long name takes one line beside the messages'() {
    const carol = await Person.enters('Carol', ['harbour', 'x'.repeat(128)]);
    const height = () => carol.page.locator('#people-title').evaluate((title) => title.offsetHeight);
    const usual = await height();
    await carol.open(`#${'x'.repeat(128)}`);
    await carol.page.locator('#people-title', { hasText: /People in x+ · 1/ }).waitFor();
    assert.equal(await height(), usual);
    await carol.screenshot('long-room.png');
    await carol.leave();
  },

  async 'a room that the server refuses is not kept'() {
    const rooms = Array.from({ length: 128 }, (_, number) => `room-${number}`);
    const carol = await Person.arrive('Carol');
    await carol.page.goto(addressOf('Carol', rooms));
    await carol.isLive();
    await carol.until(() => document.querySelectorAll('#people [data-user]').length > 0);
    await carol.page.fill('#room-more', 'one too many');
    await carol.page.press('#room-more', 'Enter');
    await carol.page.locator('#toast', { hasText: 'You are not in one too many.' }).waitFor();
    await carol.until(() => document.querySelectorAll('#rooms [data-conversation]').length === 128);
    await carol.leave();
  },
});
