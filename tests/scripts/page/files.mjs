// Files and pictures go with messages: by the button, by dropping and by pasting; with their progress, and out again; and
// what others claim to be files is believed only where it is an address of this server's files.

import assert from 'node:assert/strict';
import { crc32, deflateSync } from 'node:zlib';
import { Person, play, publish } from './person.mjs';

const ada = await Person.enters('Ada', ['harbour', 'kitchen'], { permissions: ['clipboard-read', 'clipboard-write'] });
const linus = await Person.enters('Linus', ['harbour']);

/** A picture in one colour. */
function png(width, height) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 0, 0, 0, 0], 8);
  const rows = Buffer.alloc((width + 1) * height, 0x90).map((byte, index) => (index % (width + 1) === 0 ? 0 : byte));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

const text = (name, length) => ({ name, mimeType: 'text/plain', buffer: Buffer.alloc(length, 'tide ') });
const attach = (person, ...files) => person.page.setInputFiles('#files', files);
const uploads = (person, state) => person.page.locator(`#tray .upload${state ? `[data-state="${state}"]` : ''}`);
const last = (person) => person.page.locator('#log .message').last();

/** A `DataTransfer` in the page, with these files. */
const transferOf = (person, files) =>
  person.page.evaluateHandle((all) => {
    const transfer = new DataTransfer();
    for (const { name, type, bytes } of all) transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
    return transfer;
  }, files);

/** How fast a page's requests leave, in bytes a second; 0 for as fast as they can. */
async function uploadsAt(person, bytesPerSecond) {
  const session = await person.context.newCDPSession(person.page);
  await session.send('Network.emulateNetworkConditions', {
    offline: false,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: bytesPerSecond || -1,
  });
  return session;
}

await play({
  async 'a picture and a document go with a text'() {
    await attach(ada, { name: 'sunset.png', mimeType: 'image/png', buffer: png(640, 400) }, text('notes.txt', 1_500));
    await ada.page.locator('#tray .upload-mark canvas').waitFor();
    await uploads(ada, 'done').nth(1).waitFor();
    await ada.say('From the pier');
    await linus.sees('Ada', 'From the pier');
    const picture = last(linus).locator('.picture img');
    await linus.until(() => document.querySelector('#log .picture img')?.naturalWidth === 640);
    assert.equal(await picture.getAttribute('alt'), 'sunset.png');
    assert.equal(await picture.getAttribute('loading'), 'lazy');
    const sides = [await picture.getAttribute('width'), await picture.getAttribute('height')].map(Number);
    assert.ok(Math.abs(sides[0] / sides[1] - 1.6) < 0.02, `the place is reserved: ${sides}`);
    assert.equal(await last(linus).locator('.file').textContent(), 'notes.txt 1.5 KiB');
    const address = await last(linus).locator('.file').getAttribute('href');
    assert.match(address, /^\/files\/[0-9a-f]{32}$/);
    const file = await linus.context.request.get(new URL(address, linus.page.url()).href);
    assert.equal((await file.body()).length, 1_500);
    assert.equal(await uploads(ada).count(), 0, 'the tray is empty again');
    await last(ada).and(ada.page.locator('[data-delivery="kept"]')).waitFor();
  },

  async 'a long name beside a picture makes no room beside it'() {
    const name = `${'a very long name of a file that goes on '.repeat(3)}.txt`;
    await attach(ada, { name: 'pier.png', mimeType: 'image/png', buffer: png(420, 200) }, text(name, 10));
    await uploads(ada, 'done').nth(1).waitFor();
    await ada.say('As long as the name of the file is, with all that there is to say of it in the text below');
    await last(linus).locator('.file', { hasText: 'a very long name' }).waitFor();
    const [bubble, picture] = await last(linus)
      .locator('.bubble, .picture')
      .evaluateAll((boxes) => boxes.map((box) => box.getBoundingClientRect().width));
    assert.ok(bubble - picture < 16, `${bubble} beside ${picture}`);
    await linus.screenshot('picture-and-file.png');
  },

  async 'files need no text'() {
    await attach(ada, text('alone.txt', 10));
    await uploads(ada, 'done').waitFor();
    await ada.page.click('#send');
    await last(linus).locator('.file', { hasText: 'alone.txt' }).waitFor();
    assert.equal(await last(linus).locator('.text').count(), 0);
  },

  async 'files are dropped on a column'() {
    const transfer = await transferOf(ada, [{ name: 'dropped.png', type: 'image/png', bytes: [...png(50, 40)] }]);
    await ada.page.dispatchEvent('.pane', 'dragover', { dataTransfer: transfer });
    await ada.page.locator('.drop').waitFor();
    await ada.page.dispatchEvent('.pane', 'drop', { dataTransfer: transfer });
    await ada.page.locator('.drop').waitFor({ state: 'hidden' });
    await uploads(ada, 'done').waitFor();
    await ada.page.keyboard.press('Enter');
    await last(linus).locator('img[alt="dropped.png"]').waitFor();
  },

  async 'a picture is pasted'() {
    await ada.page.evaluate(async (bytes) => {
      const blob = new Blob([new Uint8Array(bytes)], { type: 'image/png' });
      await navigator.clipboard.write([new ClipboardItem({ 'image/png': blob })]);
    }, [...png(30, 20)]);
    await ada.page.focus('#composer');
    await ada.page.keyboard.press('Control+V');
    await uploads(ada, 'done').waitFor();
    await ada.page.keyboard.press('Enter');
    await linus.until(() => [...document.querySelectorAll('#log .picture img')].at(-1)?.naturalWidth === 30);
  },

  async 'a file on its way shows how far it is, and is cancelled'() {
    const session = await uploadsAt(ada, 40_000);
    await attach(ada, text('slow.txt', 900_000));
    await ada.until(() => document.querySelector('#tray progress')?.value > 0);
    assert.equal(await ada.page.getAttribute('#tray progress', 'max'), '900000');
    await ada.page.click('[aria-label="Cancel slow.txt"]');
    await uploads(ada).waitFor({ state: 'detached' });
    assert.equal(await ada.page.isDisabled('#send'), true);
    await session.detach();
  },

  async 'who sends before the files are there need not wait'() {
    let goOn;
    const isHeld = new Promise((resolve) => (goOn = resolve));
    await ada.page.route('**/api/files*', (route) => isHeld.then(() => route.continue()), { times: 1 });
    await attach(ada, text('later.txt', 120_000));
    await uploads(ada, 'running').waitFor();
    await ada.say('Here it comes');
    await ada.page.locator('#tray-text', { hasText: 'as soon as the files are there' }).waitFor();
    assert.equal(await ada.count('Here it comes'), 0);
    // It goes where it was written, whatever is on the screen.
    await ada.open('#kitchen');
    assert.equal(await uploads(ada).count(), 0);
    goOn();
    await linus.sees('Ada', 'Here it comes');
    await last(linus).locator('.file', { hasText: 'later.txt' }).waitFor();
    await ada.open('#harbour');
    await ada.sees('Ada', 'Here it comes');
  },

  async 'a file that is too large is refused in a sentence'() {
    await attach(ada, text('large.txt', 1_100_000), text('small.txt', 10));
    await uploads(ada, 'failed').waitFor();
    const problem = await uploads(ada, 'failed').locator('.upload-problem').textContent();
    assert.equal(problem, 'It is too large: a file may have at most 976.6 KiB.');
    await ada.say('Both of them');
    await ada.page.locator('#toast', { hasText: 'could not be sent' }).waitFor();
    assert.equal(await ada.page.inputValue('#composer'), 'Both of them', 'nothing is lost');
    await ada.page.click('[aria-label="Remove large.txt"]');
    await ada.page.press('#composer', 'Enter');
    await last(linus).locator('.file', { hasText: 'small.txt' }).waitFor();
    await linus.sees('Ada', 'Both of them');
  },

  async 'an upload that failed is tried again'() {
    await ada.page.route('**/api/files*', (route) => route.abort(), { times: 1 });
    await attach(ada, text('again.txt', 20));
    await uploads(ada, 'failed').waitFor();
    await ada.page.click('[aria-label="Try again.txt again"]');
    await uploads(ada, 'done').waitFor();
    await ada.page.press('#composer', 'Enter');
    await last(linus).locator('.file', { hasText: 'again.txt' }).waitFor();
  },

  async 'a picture that is none becomes a link'() {
    await attach(ada, { name: 'broken.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
    await uploads(ada, 'done').waitFor();
    await ada.page.press('#composer', 'Enter');
    await last(linus).locator('.file', { hasText: 'broken.png' }).waitFor();
    assert.equal(await last(linus).locator('img').count(), 0);
  },

  async 'whatever others send is shown, and only our own files are followed'() {
    const file = { url: `/files/${'0'.repeat(32)}`, name: 'x', type: 'text/plain', size: 1 };
    const odd = [
      null,
      42,
      [],
      { text: 'no files' },
      { text: 'none', files: [] },
      { text: 'foreign', files: [{ ...file, url: 'https://example.org/files/1.png', type: 'image/png' }] },
      { text: 'script', files: [{ ...file, url: 'javascript:alert(1)' }] },
      { text: 'up', files: [{ ...file, url: `${file.url}/../../api/rooms` }] },
      { text: 'protocol-relative', files: [{ ...file, url: `/${file.url}` }] },
      { text: 'half', files: [file, { ...file, size: -1 }] },
      { text: 7, files: [file] },
      { text: 'name', files: [{ ...file, name: { toString: 'x' } }] },
      { __proto__: null, constructor: 'x', files: 'y' },
    ];
    for (const content of odd) await publish('harbour', 'Linus', content);
    await publish('harbour', 'Linus', 'the end of the odd ones');
    await ada.sees('Linus', 'the end of the odd ones');
    const shown = await ada.page.locator('#log .message .json').allTextContents();
    assert.deepEqual(shown.map((json) => JSON.parse(json)), JSON.parse(JSON.stringify(odd)));
    const links = await ada.page.locator('#log [href], #log [src]').evaluateAll((all) => all.map((node) => node.getAttribute('href') ?? node.getAttribute('src')));
    for (const link of links) assert.match(link, /^(\/files\/[0-9a-f]{32}|#i-\w+)$/);
  },

  async 'names show what is invisible in them'() {
    const odd = { '   ': '␣␣␣', '\u200b': '\ufffd', '\u202Egnp.exe': '\ufffdgnp.exe', 'Linus ': 'Linus␣', 'Li\u2066nus': 'Li\ufffdnus' };
    for (const [name, shown] of Object.entries(odd)) {
      await publish('harbour', name, 'who am I?');
      await last(ada).locator('.head bdi', { hasText: shown }).waitFor();
      assert.equal(await last(ada).locator('.head').textContent(), shown);
      assert.notEqual((await last(ada).locator('.avatar').textContent()).trim(), '');
    }
    const file = { url: `/files/${'0'.repeat(32)}`, name: 'photo-\u202egnp.exe', type: 'text/plain', size: 1 };
    await publish('harbour', 'Linus', { text: '', files: [file] });
    await last(ada).locator('.file-name', { hasText: 'photo-\ufffdgnp.exe' }).waitFor();
    // Where a script or an emoji is made of it, it stays.
    const whole = ['Ada Lovelace', '山田　太郎', 'עברית', 'می\u200cخواهم', '👩\u200d💻', '❤\ufe0f'];
    const kept = await ada.page.evaluate(async (names) => {
      const { visible } = await import('/format.js');
      return names.map(visible);
    }, whole);
    assert.deepEqual(kept, whole);
    await ada.screenshot('odd-names.png');
  },

  async 'nesting without end breaks nothing'() {
    const depth = 30_000;
    await fetch(new URL('/api/rooms/harbour/messages', ada.page.url()), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: `{"from":"Linus","content":${'['.repeat(depth)}${']'.repeat(depth)}}`,
    });
    await ada.page.locator('#log .message').last().locator('.json').waitFor();
    await publish('harbour', 'Linus', 'still here');
    await ada.sees('Linus', 'still here');
  },

  async 'an address that ends in parentheses without end breaks nothing'() {
    await publish('harbour', 'Linus', `http://a${')'.repeat(20_000)}`);
    await publish('harbour', 'Linus', 'and still here');
    await ada.sees('Linus', 'and still here');
  },

  async 'sides that cannot be are not reserved'() {
    const [url] = await ada.page.locator('#log .picture').evaluateAll((all) => all.map((link) => link.getAttribute('href')));
    const file = { url, name: 'odd sides', type: 'image/png', size: 5, width: 1e9, height: -4 };
    await publish('harbour', 'Linus', { text: '', files: [file] });
    await last(ada).locator('.picture[data-unsized] img[alt="odd sides"]').waitFor();
  },
});
