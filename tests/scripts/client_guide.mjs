// The examples of docs/CLIENT.md, each as it stands, as a module of a page that the server serves.
// Usage: node client_guide.mjs CHROMIUM http://HOST:PORT

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { chromium } from 'playwright-core';

const [executablePath, url] = process.argv.slice(2);
const guide = await readFile(new URL('../../docs/CLIENT.md', import.meta.url), 'utf8');
const examples = [...guide.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code);
assert.ok(examples.length >= 6, `${examples.length} examples`);

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
for (const [index, code] of examples.entries()) {
  const page = await (await browser.newContext()).newPage();
  const problems = [];
  const said = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => (message.type() === 'error' ? problems : said).push(message.text()));
  // What the example of a token fetches is the application's own.
  await page.route('**/my-token', (route) => route.fulfill({ contentType: 'text/plain', body: 'header.claims.signature' }));
  // The example ends with its last statement; then we see whether its client lives.
  await page.route('**/example.mjs', (route) => route.fulfill({ contentType: 'text/javascript', body: `${code}\nexport { client };` }));
  await page.goto(url);
  await page.evaluate(async () => {
    const { client } = await import('/example.mjs');
    const isLive = () => client.state === 'live';
    if (!isLive()) await new Promise((resolve) => client.on('state', () => isLive() && resolve()));
    await client.join('lobby');
    await client.send('lobby', 'the example works');
  });
  assert.deepEqual(problems, [], `example ${index + 1}:\n${code}`);
  console.log(`example ${index + 1}: ${said.length} lines`);
  await page.context().close();
}
await browser.close();
