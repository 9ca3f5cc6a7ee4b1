// The operator's page of one node of two: whose it is, who is at the other, why, and disconnecting there; axe finds no fault.

import assert from 'node:assert/strict';
import { isAccessible } from './accessible.mjs';
import { Person, play, url } from './person.mjs';

const operator = await Person.arrive('operator', { viewport: { width: 1280, height: 1000 } });
const rows = (text) => operator.page.locator('#rows tr', { hasText: text });
/** Other nodes have two seconds to answer: where one of them has not, the operator asks again. */
const PATIENCE_MS = 60_000;
const isSoonThere = (locator) => locator.waitFor({ timeout: 3_000 }).then(() => true, () => false);
const tab = (name) => operator.page.click(`[data-tab="${name}"]`);

await play({
  async 'the page says which node it is of'() {
    await operator.page.goto(`${url}admin`);
    await operator.page.locator('#facts', { hasText: 'node n1 of 2' }).waitFor();
  },

  async 'who is at the other node is listed with its name'() {
    await rows('Ada').locator('td', { hasText: /^n1\/c-\d+-\d+$/ }).waitFor();
    await rows('Linus').locator('td', { hasText: /^n2\/c-\d+-\d+$/ }).waitFor();
    await operator.page.locator('#silent').waitFor({ state: 'hidden', timeout: PATIENCE_MS });
    await isAccessible(operator, 'connections of two nodes');
    await operator.screenshot('admin-nodes.png');
  },

  async 'on a narrower screen names are whole, and the buttons in sight'() {
    await operator.page.setViewportSize({ width: 1100, height: 1000 });
    const list = operator.page.locator('.scroll');
    assert.ok(await list.evaluate((box) => box.scrollWidth <= box.clientWidth), 'nothing is cut off at the edge');
    for (const name of ['Ada', 'Linus']) {
      const lines = await rows(name).locator('td:first-child').evaluate((cell) => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        return new Set(Array.from(range.getClientRects(), ({ bottom }) => Math.round(bottom))).size;
      });
      assert.equal(lines, 1, `${name} is in one piece`);
    }
    await operator.screenshot('admin-nodes-1100.png');
    await operator.page.setViewportSize({ width: 1280, height: 1000 });
  },

  async 'why is told of it, too'() {
    await rows('Linus').locator('.why').click();
    const report = operator.page.locator('.report h3', { hasText: /^n2\/c-\d+-\d+: chat of Linus/ });
    for (let attempt = 1; !(await isSoonThere(report)); attempt += 1) {
      assert.ok(attempt < 10, 'the other node never answers');
      await tab('connections');
      await rows('Linus').locator('.why').click();
    }
  },

  async 'it is disconnected from here'() {
    await tab('users');
    // A node that is held up does it later, and is named.
    const toast = operator.page.locator('#toast', { hasText: /1 connection of Linus closed\.|Without n2/ }).waitFor();
    await rows('Linus').locator('.disconnect').click();
    await operator.page.click('#confirm-yes');
    await toast;
    await rows('Linus').waitFor({ state: 'detached', timeout: PATIENCE_MS });
  },
});
