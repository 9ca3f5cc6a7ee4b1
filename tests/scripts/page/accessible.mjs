// What every page has to be like: axe finds no fault in it, in light and dark; and the telephone that it is looked at on.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { source: AXE } = require('axe-core');

export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 1 };

/** Looks at the page as it is, in both colours, and fails with what axe finds. */
export async function isAccessible(person, state) {
  for (const colorScheme of ['dark', 'light']) {
    await person.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await person.page.evaluate(AXE);
    const faults = await person.page.evaluate(async () => {
      const { violations } = await axe.run(document, { resultTypes: ['violations'] });
      return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(' | ')}`);
    });
    assert.deepEqual(faults, [], `${state}, ${colorScheme}`);
  }
}
