// The JavaScript client in Chromium, in conversations that are disturbed as only browsers are: tabs that sleep, reload, share.
// Usage: node client_in_chromium.mjs SCENARIO CHROMIUM http://HOST:PORT

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { chromium } from 'playwright-core';

import { ask, cut, kill, progress, until } from './client/disturbances.mjs';
import { RudeProxy } from './client/rude_proxy.mjs';

const [scenario, executablePath, url] = process.argv.slice(2);
const PATIENCE_MS = 60_000;

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
const proxy = new RudeProxy(Number(new URL(url).port));
const origin = await proxy.listen();
const problems = [];

/** A browser's own world: its pages share storage and locks. */
async function newContext() {
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE_MS);
  await context.route('**/test/*.mjs', async (route) => {
    const file = new URL(`client/${new URL(route.request().url()).pathname.split('/').at(-1)}`, import.meta.url);
    await route.fulfill({ contentType: 'text/javascript', body: await readFile(file, 'utf8') });
  });
  return context;
}

async function newPage(context) {
  const page = await context.newPage();
  page.on('pageerror', (error) => problems.push(error.stack ?? String(error)));
  // The chat page's form: it connects to nothing by itself, and its policy is that of the page.
  await page.goto(origin);
  return page;
}

/** A conversation in a page, with the methods that the disturbances use. */
async function begin(page, { speaks = 'json', ...options } = {}, names = undefined) {
  await page.evaluate(async ([speaks, options, names]) => {
    const { connect } = await import('/client.js');
    const { protobuf } = await import('/client/protobuf.js');
    const { Conversation } = await import('/test/conversation.mjs');
    const spoken = speaks === 'protobuf' ? { WebSocket: protobuf() } : {};
    window.talk = new Conversation(connect, '/ws', { ...options, ...spoken }, names);
    await window.talk.begin();
  }, [speaks, options, names]);
  return {
    counts: () => page.evaluate(() => window.talk.counts),
    reconnect: () => page.evaluate(() => window.talk.talkers.forEach(({ client }) => client.reconnect())),
    end: () => page.evaluate(() => window.talk.end()),
  };
}

async function endWell(talk) {
  const counts = await talk.counts();
  const broken = await talk.end();
  assert.deepEqual(broken, [], broken.length > 0 ? `the log: ${await inTheLog()}` : undefined);
  console.log(JSON.stringify(counts));
}

const scenarios = {
  async kill() {
    const talk = await begin(await newPage(await newContext()));
    await kill(talk, 50);
    await endWell(talk);
  },

  async cut() {
    for (const transport of ['websocket', 'sse', 'poll']) {
      const talk = await begin(await newPage(await newContext()), { transports: [transport] });
      await cut(talk, proxy, proxy.cuts + 15);
      await endWell(talk);
    }
  },

  /** One page in Protobuf, another in JSON, in one room; both are cut at random bytes. */
  async protobuf() {
    const page = await newPage(await newContext());
    const frames = { text: 0, binary: 0 };
    page.on('websocket', (socket) => {
      for (const event of ['framesent', 'framereceived']) {
        socket.on(event, ({ payload }) => (frames[typeof payload === 'string' ? 'text' : 'binary'] += 1));
      }
    });
    const talk = await begin(page, { speaks: 'protobuf', transports: ['websocket'] });
    const json = await begin(await newPage(await newContext()), { transports: ['websocket'] }, ['Cora', 'Dan']);
    await cut(talk, proxy, proxy.cuts + 15);
    await progress(json);
    await endWell(json);
    await endWell(talk);
    assert.ok(frames.text === 0 && frames.binary > 100, JSON.stringify(frames));
  },

  /** Nothing is blocked yet, then WebSocket is, then event streams, too; a new page begins with what worked. */
  async block() {
    const context = await newContext();
    const page = await newPage(context);
    const talk = await begin(page);
    const chatsBy = async (transport) => (await talk.counts()).every((counts) => counts.transport === transport && counts.state === 'live');
    assert.ok(await chatsBy('websocket'));
    for (const [blocked, how, left] of [['webSocket', 'refuse', 'sse'], ['eventStream', 'swallow', 'poll']]) {
      proxy[blocked] = how;
      proxy.cutAll();
      await until(`both chat by ${left}`, () => chatsBy(left));
      await progress(talk);
    }
    const handshakes = proxy.webSockets;
    const again = await begin(await newPage(context), {}, ['Cora', 'Dan']);
    assert.ok((await again.counts()).every(({ transport }) => transport === 'poll'));
    assert.equal(proxy.webSockets, handshakes, 'a transport that does not work was tried first');
    await endWell(again);
    await endWell(talk);
  },

  /** The page is frozen as that of a tab in the background; meanwhile its connections die. */
  async sleep() {
    const page = await newPage(await newContext());
    const talk = await begin(page);
    const session = await page.context().newCDPSession(page);
    for (let night = 0; night < 3; night += 1) {
      await progress(talk);
      await session.send('Page.setWebLifecycleState', { state: 'frozen' });
      proxy.cutAll();
      await ask('kill the server');
      await session.send('Page.setWebLifecycleState', { state: 'active' });
      await talk.reconnect();
    }
    await progress(talk);
    await endWell(talk);
  },

  /** A browser that lets timers of a hidden page come once a minute; a network that is silent. The server's heartbeat is 1 s. */
  async throttle() {
    const context = await newContext();
    await context.addInitScript(() => {
      const slow = window.setTimeout;
      window.setTimeout = (then, ms, ...rest) => slow(then, Math.max(ms, 60_000), ...rest);
    });
    const page = await newPage(context);
    await page.evaluate(async () => {
      const { connect } = await import('/client.js');
      window.client = connect('/ws', { user: 'Ada' });
    });
    const state = () => page.evaluate(() => window.client.state);
    await until('it is live', async () => (await state()) === 'live');
    proxy.answers = 'swallow';
    const silentSince = Date.now();
    await until('the silence is noticed', async () => (await state()) !== 'live');
    assert.ok(Date.now() - silentSince < 50_000, 'only the timers of the page noticed it');
  },

  /** Messages that were not sent, and others that were kept without an answer, when the page is loaded anew. */
  async reload() {
    const context = await newContext();
    const page = await newPage(context);
    const open = () =>
      page.evaluate(async () => {
        const { connect } = await import('/client.js');
        const { outbox } = await import('/client/outbox.js');
        window.client = connect('/ws', { user: 'Ada', rooms: ['harbour'], outbox: outbox() });
        window.acks = [];
        window.client.on('ack', ({ roomId, offset, dup }) => window.acks.push({ roomId, offset, dup }));
      });
    const say = (texts) => page.evaluate((texts) => texts.forEach((text) => window.client.send('harbour', text).catch(() => {})), texts);
    const acks = () => page.evaluate(() => window.acks);
    const texts = async () => (await (await fetch(`${url}/api/rooms/harbour/messages`)).json()).messages.map(({ content }) => content);
    const kept = (count) => page.evaluate(async (count) => {
      const { outbox } = await import('/client/outbox.js');
      return (await outbox().load()).length === count;
    }, count);

    await open();
    await say(['acknowledged']);
    await until('it is acknowledged', async () => (await acks()).length === 1);
    proxy.answers = 'swallow';
    await say(['kept, but nobody said so']);
    await until('it is kept', async () => (await texts()).length === 2);
    proxy.answers = 'refuse';
    proxy.cutAll();
    await say(['never sent', 'nor this one']);
    await until('the outbox has three', () => kept(3));
    // Gone before the server can be reached again: else it would send them itself.
    await page.goto('about:blank');
    proxy.answers = 'pass';
    await page.goto(origin);
    await open();
    await say(['said after the reload']);
    await until('all is acknowledged', async () => (await acks()).length === 4);
    assert.deepEqual(await texts(), ['acknowledged', 'kept, but nobody said so', 'never sent', 'nor this one', 'said after the reload']);
    assert.deepEqual((await acks()).map(({ offset, dup }) => [offset, dup ?? false]), [[2, true], [3, false], [4, false], [5, false]]);
    await until('the outbox is empty', () => kept(0));
  },

  /** Two tabs, one connection; the tab that has it is closed in the middle. */
  async tabs() {
    const context = await newContext();
    const [first, second] = [await newPage(context), await newPage(context)];
    const open = (page, name) =>
      page.evaluate(async (name) => {
        const { connect } = await import('/client/shared.js');
        const { SharedTalker } = await import('/test/shared_talker.mjs');
        window.talker = new SharedTalker(connect, name);
        await window.talker.begin();
      }, name);
    const handshakes = proxy.webSockets;
    await open(first, 'first');
    await open(second, 'second');
    assert.ok(await first.evaluate(() => window.talker.client.isLeader));
    assert.equal(proxy.webSockets, handshakes + 1, 'one connection');
    const other = await begin(await newPage(await newContext()));
    const grown = async (page) => {
      const before = await page.evaluate(() => window.talker.known);
      await until('the tab has come on', async () => (await page.evaluate(() => window.talker.known)) > before + 30);
    };
    await grown(first);
    await grown(second);
    // A tab that leaves and comes back, as when a view is drawn anew, is in the room.
    const rejoined = await second.evaluate(async () => {
      const { connect } = await import('/client/shared.js');
      const client = connect('/ws', { user: 'Cora' });
      client.join('attic').catch(() => {});
      client.leave('attic');
      await client.join('attic');
      await client.send('attic', 'here');
      return client.presence('attic');
    });
    assert.deepEqual(rejoined.members, ['Cora']);
    // One that goes without a word leaves its rooms.
    const fleeting = await newPage(context);
    await fleeting.evaluate(async () => {
      const { connect } = await import('/client/shared.js');
      await connect('/ws', { user: 'Cora' }).join('cellar');
    });
    const inCellar = async () => (await (await fetch(`${url}/api/rooms/cellar/presence`)).json()).members;
    assert.deepEqual(await inCellar(), ['Cora']);
    await fleeting.close();
    await until('the tab is missed', async () => (await inCellar()).length === 0);
    await first.close();
    await until('the second leads', () => second.evaluate(() => window.talker.client.isLeader));
    await grown(second);
    const third = await newPage(context);
    await open(third, 'third');
    await grown(third);
    // The tab that has the connection goes on reading to the others, but can no longer tell them what of theirs is kept.
    await second.evaluate(async () => {
      const { postMessage } = BroadcastChannel.prototype;
      BroadcastChannel.prototype.postMessage = function (data) {
        if (data.by === undefined && data.value?.type !== 'ack') postMessage.call(this, data);
      };
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      window.talker.client.close();
      Object.assign(BroadcastChannel.prototype, { postMessage });
    });
    await grown(third);
    assert.deepEqual(await second.evaluate(() => window.talker.judge()), []);
    assert.deepEqual(await third.evaluate(() => window.talker.end()), []);
    await endWell(other);
    await everythingIsThereOnce();
  },
};

/** What was said and by whom, for the report of a failure. */
async function inTheLog() {
  const { messages } = await (await fetch(`${url}/api/rooms/harbour/messages?limit=1000&since=`)).json();
  return messages.map(({ offset, content }) => `${offset} ${content}`).join(', ');
}

/** The log itself: each text of each tab once, in the order in which it was said. */
async function everythingIsThereOnce() {
  const last = new Map();
  for (let since = '', more = true; more; ) {
    const page = await (await fetch(`${url}/api/rooms/harbour/messages?since=${since}&limit=1000`)).json();
    for (const { content } of page.messages) {
      const [, who, n] = /^(.*) (\d+)$/.exec(content);
      assert.ok(Number(n) > (last.get(who) ?? 0), `${content} comes behind ${last.get(who)}`);
      last.set(who, Number(n));
    }
    ({ position: since, more } = page);
  }
  assert.ok(last.size >= 5, `who has spoken: ${[...last.keys()]}`);
}

await scenarios[scenario]();
assert.deepEqual(problems, []);
await browser.close();
proxy.close();
console.log(`done, ${proxy.cuts} cuts`);
process.exit(0);
