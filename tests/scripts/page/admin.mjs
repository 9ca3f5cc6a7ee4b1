// The operator's page: numbers that live, people who are found and disconnected, a room that is watched, why somebody left, and
// the end of the server; axe finds no fault. The picture of the docs is made here.

import assert from 'node:assert/strict';
import { PHONE, isAccessible } from './accessible.mjs';
import { Person, play, publish, url } from './person.mjs';

/** The number at the top of a plot, or of its line. */
const now = (plot, line = 'span') => operator.page.locator(`[data-plot="${plot}"] .now ${line}`).first();
const row = (key) => operator.page.locator(`#rows [data-key="${key}"]`);
const tab = (name) => operator.page.click(`[data-tab="${name}"]`);

const operator = await Person.arrive('operator', { viewport: { width: 1280, height: 1000 } });
const ada = await Person.enters('Ada', ['harbour', 'kitchen']);
const linus = await Person.enters('Linus', ['harbour']);
const grace = await Person.enters('Grace', ['kitchen']);

await play({
  async 'numbers come alive'() {
    await operator.page.goto(`${url}admin`);
    await operator.page.waitForSelector('#status[data-status="up"]');
    await operator.page.locator('#facts', { hasText: 'connections' }).waitFor();
    assert.ok(await operator.page.locator('#refused').isHidden());
    await operator.until(() => Number(document.querySelector('[data-plot="connections"] .now').textContent) >= 3);
    const talk = setInterval(() => publish('harbour', 'tide-gauge', { level: 2.4 }).catch(() => {}), 40);
    await operator.until(() => Number(document.querySelector('[data-plot="messages"] .now .b').firstChild.data) > 5);
    await operator.until(() => document.querySelectorAll('[data-plot="messages"] path[d^="M"]').length >= 2);
    await operator.until(() => document.querySelector('[data-plot="messages"] path').getAttribute('d').split('L').length > 8);
    clearInterval(talk);
    await operator.until(() => Number(document.querySelector('[data-plot="delay"] .now .a').firstChild.data) >= 0);
    await operator.page.hover('[data-plot="messages"] .area');
    await operator.page.locator('[data-plot="messages"] .reading', { hasText: 'out' }).waitFor();
    await operator.page.mouse.move(5, 300);
    assert.match(await operator.page.getAttribute('[data-plot="connections"] svg', 'aria-label'), /now, between/);
    assert.notEqual(await now('connections').textContent(), 'none');
    // Browsers keep connections that are counted and not listed.
    await operator.page.locator('#quiet', { hasText: /more connections? carr(y|ies) plain HTTP/ }).waitFor();
  },

  async 'people are found'() {
    await operator.page.fill('#search', 'LIN');
    await operator.until(() => document.querySelectorAll('#rows tr').length === 1);
    assert.equal(await operator.page.textContent('#quiet'), '', 'of what is searched for, nothing is left out');
    await operator.page.locator('#rows', { hasText: 'Linus' }).waitFor();
    await tab('rooms');
    await operator.page.locator('#nothing').waitFor();
    await operator.page.fill('#search', '');
    await row('harbour').waitFor();
    await tab('users');
    await row('Ada').waitFor();
    await isAccessible(operator, 'users');
  },

  async 'why somebody who is here and somebody who left'() {
    await row('Ada').locator('.why').click();
    await operator.page.locator('.report[data-cause=""] .frames td').first().waitFor();
    await grace.page.goto('about:blank');
    await operator.until(() => document.querySelector('#causes [data-cause="client_close"]') !== null);
    await operator.page.fill('#subject', 'Grace');
    await operator.page.press('#subject', 'Enter');
    await operator.page.locator('.report[data-cause="client_close"] .hint', { hasText: 'tab closed' }).waitFor();
    await operator.page.fill('#subject', 'Nobody');
    await operator.page.press('#subject', 'Enter');
    await operator.page.locator('#no-report', { hasText: 'nothing is known' }).waitFor();
    await operator.page.fill('#subject', 'Grace');
    await operator.page.press('#subject', 'Enter');
    await operator.page.locator('.report').first().waitFor();
    await isAccessible(operator, 'why');
  },

  async 'a room is watched, and its people do not hear of it'() {
    await tab('rooms');
    await row('harbour').locator('.watch').click();
    await operator.page.locator('#watched-log', { hasText: 'watching' }).waitFor();
    await ada.say('Is anybody there?');
    await operator.page.locator('#watched-log', { hasText: 'Is anybody there?' }).waitFor();
    await isAccessible(operator, 'a watched room');
    assert.equal(await ada.page.locator('#people [data-user]').count(), 2);
    await operator.page.click('#watched-stop');
    await operator.page.locator('#watched').waitFor({ state: 'hidden' });
  },

  async 'the picture of the docs'() {
    await tab('connections');
    await operator.page.locator('#rows', { hasText: 'Ada' }).waitFor();
    await operator.page.evaluate(() => scrollTo(0, 0));
    await operator.page.emulateMedia({ colorScheme: 'light' });
    await operator.picture('admin.png');
    await operator.page.emulateMedia({ colorScheme: 'dark' });
    await operator.screenshot('admin-dark.png');
    const phone = await Person.arrive('telephone', PHONE);
    await phone.page.goto(`${url}admin?why=Grace`);
    await phone.page.locator('.report').first().waitFor();
    await isAccessible(phone, 'a telephone');
    const isWide = await phone.page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.ok(!isWide, 'the page is as wide as the telephone');
    await phone.screenshot('admin-phone.png');
    await phone.leave();
  },

  async 'a user is disconnected, but only if it is meant'() {
    await tab('users');
    await row('Linus').locator('.disconnect').click();
    await operator.page.locator('#confirm[open]').waitFor();
    await isAccessible(operator, 'the question');
    await operator.page.keyboard.press('Escape');
    await operator.page.locator('#confirm').waitFor({ state: 'hidden' });
    assert.equal(await operator.page.locator('#causes [data-cause="kicked"]').count(), 0);
    await row('Linus').locator('.disconnect').click();
    await operator.page.click('#confirm-yes');
    await operator.page.locator('#toast', { hasText: '1 connection of Linus closed' }).waitFor();
    await operator.page.locator('#causes [data-cause="kicked"]').waitFor();
    await linus.isLive();
  },

  async 'who is no operator is told so'() {
    const stranger = await Person.arrive('stranger', { extraHTTPHeaders: { 'X-Forwarded-For': '192.0.2.1' } });
    await stranger.page.goto(`${url}admin`);
    await stranger.page.locator('#refused-why', { hasText: 'through a proxy' }).waitFor();
    await isAccessible(stranger, 'a stranger');
    assert.equal(await stranger.page.locator('#rows tr').count(), 0);
    await stranger.leave();
  },

  async 'the server is stopped'() {
    await operator.page.click('#drain');
    await operator.page.click('#confirm-yes');
    await operator.page.waitForSelector('#status:not([data-status="up"])');
  },
});
