// What is done to a conversation while it goes on: the test that runs the script holds the server, and kills it when it is asked to.

import { createInterface } from 'node:readline';

import { pause } from './conversation.mjs';

const PATIENCE_MS = 60_000;
const ALONE_TIMES = 4;
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the test for something and waits until it is done. */
export async function ask(what) {
  console.log(what);
  await answers.next();
}

/** Waits until `holds()` is true, or says what it waited for: a sentence, or what makes one. */
export async function until(what, holds) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${typeof what === 'string' ? what : what()}`);
    await pause(10);
  }
}

/** Waits until both have come on by some messages since now. `talk` may be here or in a browser: its methods are awaited. */
export async function progress(talk, messages = 3) {
  const before = await talk.counts();
  let now = before;
  const hasComeOn = ({ acked, heard }, index) => acked >= before[index].acked + messages && heard >= before[index].heard + messages;
  await until(() => `both have come on from ${JSON.stringify(before)}; now ${JSON.stringify(now)}`, async () => (now = await talk.counts()).every(hasComeOn));
}

/** The server is killed and started again, in mid conversation. */
export async function kill(talk, times) {
  for (let time = 0; time < times; time += 1) {
    await progress(talk);
    await ask('kill the server');
    // The first times they come back by themselves; the back-off would make a long test of the others.
    if (time >= ALONE_TIMES) await talk.reconnect();
  }
  await progress(talk);
}

/** Every connection is cut after some random bytes, until that has happened so often. */
export async function cut(talk, proxy, times) {
  proxy.cutAfter = 16_000;
  proxy.cutAll();
  for (let told = 0; proxy.cuts < times; ) {
    await pause(100);
    await talk.reconnect();
    // On a busy machine all of them take longer than a script may be silent.
    if (proxy.cuts >= told + 5) console.log(`${(told = proxy.cuts)} cuts`);
  }
  proxy.cutAfter = 0;
  proxy.cutAll();
  // After so many the next attempt would be half a minute away.
  await pause(200);
  await talk.reconnect();
  await progress(talk);
}
