// The operator's page of a server that asks for tokens: it asks for one, says why one does not hold, and works with one that does.

import assert from 'node:assert/strict';
import { isAccessible } from './accessible.mjs';
import { Person, ask, play, url } from './person.mjs';

const operator = await Person.arrive('operator');
const asked = [];
operator.page.on('request', (request) => asked.push(request.url().split('#')[0]));
const told = (person, title, why) =>
  Promise.all([
    person.page.locator('#refused-title', { hasText: title }).waitFor(),
    person.page.locator('#refused-why', { hasText: why }).waitFor(),
    person.page.locator('#status[data-status="unknown"]', { hasText: 'not let in' }).waitFor(),
  ]);
const use = async (token) => {
  await operator.page.fill('#token', token);
  await operator.page.press('#token', 'Enter');
};

await play({
  async 'without one the page asks for it'() {
    await operator.page.goto(`${url}admin`);
    await told(operator, 'Show a token', 'The server asks for one');
    await operator.page.waitForSelector('#token:focus');
    for (const part of ['#now', '#halves', '#drain']) assert.equal(await operator.page.isVisible(part), false, `${part} is for operators`);
    await isAccessible(operator, 'no token yet');
    await operator.screenshot('admin-no-token.png');
  },

  async 'it says why one does not hold'() {
    await use('no.token.atall');
    await told(operator, 'Show a token', 'The token');
    await use(await ask('token ada'));
    await told(operator, 'none of an operator', 'admin');
    assert.equal(await operator.page.locator('#rows tr').count(), 0);
  },

  async 'with one it works'() {
    await use(await ask('token admin'));
    await operator.page.waitForSelector('#status[data-status="up"]');
    await operator.page.locator('#refused').waitFor({ state: 'hidden' });
    await operator.page.locator('#facts', { hasText: 'connections' }).waitFor();
    for (const part of ['#now', '#halves', '#drain']) await operator.page.locator(part).waitFor();
  },

  async 'it holds for a reload, and is in no address'() {
    await operator.page.reload();
    await operator.page.waitForSelector('#status[data-status="up"]');
    assert.ok(!operator.page.url().includes('eyJ'), operator.page.url());
  },

  async 'a link brings one along'() {
    const visitor = await Person.arrive('visitor');
    await visitor.page.goto(`${url}admin#token=${await ask('token admin')}`);
    await visitor.page.waitForSelector('#status[data-status="up"]');
    assert.ok(!visitor.page.url().includes('token'), visitor.page.url());
    await visitor.leave();
  },

  async 'a right that is missing for a room is told, and who has it watches the room'() {
    const ada = await Person.arrive('ada');
    await ada.page.goto(`${url}?name=ada&room=harbour#token=${await ask('token ada')}`);
    await ada.isLive();
    await operator.page.click('[data-tab="rooms"]');
    await operator.page.locator('#rows [data-key="harbour"] .watch').click();
    await operator.page.locator('#watched-log', { hasText: 'does not let us' }).waitFor();
    await operator.page.goto('about:blank');
    await operator.page.goto(`${url}admin#token=${await ask('token reader')}`);
    await operator.page.waitForSelector('#status[data-status="up"]');
    await operator.page.click('[data-tab="rooms"]');
    await operator.page.locator('#rows [data-key="harbour"] .watch').click();
    await operator.page.locator('#watched-log', { hasText: 'watching' }).waitFor();
    await ada.say('Is anybody there?');
    await operator.page.locator('#watched-log', { hasText: 'Is anybody there?' }).waitFor();
    await ada.leave();
  },

  async 'no address that the page asked has a token'() {
    assert.ok(asked.some((address) => address.includes('/sse?room=harbour')), asked.join('\n'));
    assert.deepEqual(asked.filter((address) => /eyJ|token=/.test(address)), []);
  },
});
