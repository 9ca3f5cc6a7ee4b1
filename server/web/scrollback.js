// Reading back: pages of history, added above what a conversation shows. A room has a log of its own; the messages of all
// private conversations are in one, `@` and our name, which holds what others wrote to us: of what we wrote in an earlier
// visit, nothing is known here.

import * as entries from './entries.js';
import { plural } from './format.js';
import { ensureConversation } from './state.js';

const PAGE = 50;
/** Pages of private messages are shared by all who wrote. */
const PRIVATE_PAGE = 100;
/** How many pages are asked for at once to find something: of this writer, or above what is damaged. */
const PAGES_MAX = 10;

/** Loads what is older than what the conversation shows. Its `older` says how that went; `me` is our name. */
export async function loadOlder(client, me, conversation) {
  // A message of an earlier page may have its place already, with others behind it: the first page is the newest all the same.
  const isFirst = conversation.older === 'unknown';
  conversation.older = 'loading';
  const read = conversation.kind === 'room' ? roomReader(conversation, me) : privateReader(conversation, me);
  try {
    for (let pages = 0; pages < PAGES_MAX && conversation.older === 'loading'; pages += 1) {
      const top = isFirst && pages === 0 ? undefined : placeOf(entries.oldestOf(conversation, read.log));
      const before = conversation.before ?? top;
      const page = await client.history(read.log, { before, limit: read.limit });
      addPage(conversation, read, page, before);
    }
    if (conversation.older === 'loading') conversation.older = 'more';
  } catch {
    conversation.older = 'failed';
  }
}

/** Finds who has written to us lately, and begins those conversations with what they wrote. */
export async function findPrivate(client, state) {
  const log = `@${state.user}`;
  const page = await client.history(log, { limit: PRIVATE_PAGE });
  for (const from of new Set(page.messages.map((message) => message.from))) {
    const conversation = ensureConversation(state, 'private', from);
    if (conversation.older === 'unknown') addPage(conversation, privateReader(conversation, state.user), page);
  }
}

function roomReader({ name }, me) {
  return { log: name, limit: PAGE, isOurs: () => true, extraOf: ({ from }) => ({ mine: from === me }) };
}

function privateReader({ name }, me) {
  return { log: `@${me}`, limit: PRIVATE_PAGE, isOurs: ({ from }) => from === name, extraOf: () => ({ mine: false }) };
}

function addPage(conversation, { log, isOurs, extraOf }, { messages, position, more, gap }, before = nextTo(position)) {
  const found = messages.filter(isOurs);
  entries.addOlder(conversation, log, found, extraOf);
  if (gap !== undefined) entries.noteAbove(conversation, holeText(offsetOf(gap.to) - offsetOf(gap.from)));
  const top = placeOf(messages[0]) ?? before;
  conversation.before = gap === undefined ? top : nextTo(gap.from);
  if (!more) conversation.older = offsetOf(top) > 1 ? 'lost' : 'beginning';
  else if (entries.isFull(conversation)) conversation.older = 'full';
  else if (found.length > 0) conversation.older = 'more';
}

/** The position of a message, which is also what a page before it ends at. */
const placeOf = (message) => message && `${message.epoch}-${message.offset}`;

const offsetOf = (position) => Number(position.slice(position.lastIndexOf('-') + 1));

/** Where the message behind this position is, or will be. */
const nextTo = (position) => `${position.slice(0, position.lastIndexOf('-'))}-${offsetOf(position) + 1}`;

const holeText = (count) => `${plural(count, 'message')} cannot be read back from the server’s disk.`;
