// The entries of a conversation: messages, and notes between them (who came and went, what was missed). Those from a log
// follow its order, with what is still on its way at the end. Plain data and the functions that change it.

/** Older entries leave when their reader is at the end: a room that is open for days must not grow for days. */
const ENTRIES_MAX = 500;
/** What a reader who scrolls up can have above the end. */
const SCROLLED_MAX = 5_000;
/** Comings and goings that follow each other: more names in one line nobody reads. */
const MOVES_MAX = 10;

let lastKey = 0;

const nextKey = () => `e${(lastKey += 1)}`;
const sameLog = (entry, log, epoch) => entry.log === log && entry.epoch === epoch;

/** Adds a message from the server; returns its entry, or null when it is there already. `log` names its order. */
export function receive(conversation, log, message, extra = {}) {
  const { offset, epoch } = message;
  const known = conversation.entries.some((entry) => sameLog(entry, log, epoch) && entry.offset === offset);
  if (known) return null;
  const entry = entryOf(log, message, extra);
  conversation.entries.splice(endOfKept(conversation.entries), 0, entry);
  intoOrder(conversation.entries, entry);
  return entry;
}

/** Adds a page of messages from before the oldest, in the log's order. */
export function addOlder(conversation, log, messages, extraOf) {
  const oldest = oldestOf(conversation, log);
  // Offsets go on through a change of the epoch, unless the log began anew: then what is here of the new epoch is not older.
  const isHere = (epoch) => conversation.entries.some((entry) => sameLog(entry, log, epoch));
  const isOlder = ({ epoch, offset }) =>
    oldest === undefined || (offset < oldest.offset && (epoch === oldest.epoch || !isHere(epoch)));
  const older = messages.filter(isOlder).map((message) => entryOf(log, message, extraOf(message)));
  conversation.entries.unshift(...older);
  for (const message of messages) if (!isOlder(message)) receive(conversation, log, message, extraOf(message));
}

/** Adds a message of our own, on its way. */
export function compose(conversation, from, content, time) {
  const entry = { key: nextKey(), type: 'message', from, content, time, delivery: 'sending', mine: true };
  conversation.entries.push(entry);
  return entry;
}

/** The server has kept our message: it gets its place in the log. */
export function keep(conversation, entry, log, { offset, epoch, time }) {
  Object.assign(entry, { delivery: 'kept', log, offset, epoch, time: time ?? entry.time });
  // With a resumed connection the log itself may have brought this message before the ack did.
  conversation.entries = conversation.entries.filter(
    (other) => other === entry || !sameLog(other, log, epoch) || other.offset !== offset,
  );
  intoOrder(conversation.entries, entry);
}

/** Whether the server cannot keep for now what is on its way. */
export function delay({ entries }, isDelayed) {
  for (const entry of entries) if (entry.delivery === 'sending') entry.isDelayed = isDelayed;
}

export function fail(entry, reason) {
  Object.assign(entry, { delivery: 'failed', reason });
}

/** Puts a failed message back on its way, as the newest. */
export function again(conversation, entry, time) {
  remove(conversation, entry);
  Object.assign(entry, { delivery: 'sending', reason: undefined, time });
  conversation.entries.push(entry);
}

export function remove(conversation, entry) {
  conversation.entries = conversation.entries.filter((other) => other !== entry);
}

/** Adds a line between the messages: `{ user, event }` of who came or went, or `{ text }`. */
export function note({ entries }, time, what) {
  const end = endOfKept(entries);
  entries.splice(end, 0, { key: nextKey(), type: 'note', time, ...what });
  const start = entries.findLastIndex(({ user }, index) => index < end && user === undefined) + 1;
  if (end - start >= MOVES_MAX) entries.splice(start, 1);
}

/** Adds a line above all that is there. */
export function noteAbove({ entries }, text) {
  entries.unshift({ key: nextKey(), type: 'note', time: entries[0]?.time ?? Date.now(), text });
}

/** The oldest entry from this log, or undefined. */
export const oldestOf = ({ entries }, log) => entries.find((entry) => entry.log === log && entry.delivery === 'kept');

/** Whether there is no room for older ones. */
export const isFull = ({ entries }) => entries.length >= SCROLLED_MAX;

/**
 * Lets the oldest go when there are too many; returns whether it did. Who reads above the end keeps more, since they are
 * looking at them.
 */
export function trim(conversation, isScrolledUp) {
  // A page on its way belongs right above the oldest entry, so that stays until it is there.
  if (conversation.older === 'loading') return false;
  const max = isScrolledUp ? SCROLLED_MAX : ENTRIES_MAX;
  let lines = 0;
  // Comings and goings fold into one line, so they do not count: they would push what was said out, which would come again.
  const lastOver = conversation.entries.findLastIndex(({ user }) => user === undefined && (lines += 1) > max);
  // What was not sent is nowhere else.
  const isOver = ({ delivery }, index) => index <= lastOver && delivery !== 'sending' && delivery !== 'failed';
  if (!conversation.entries.some(isOver)) return false;
  conversation.entries = conversation.entries.filter((entry, index) => !isOver(entry, index));
  Object.assign(conversation, { older: 'more', before: null });
  return true;
}

function entryOf(log, { from, content, time, offset, epoch }, extra) {
  return { key: nextKey(), type: 'message', from, content, time, log, offset, epoch, delivery: 'kept', ...extra };
}

/** The index behind everything but our own messages that are still on their way. */
function endOfKept(entries) {
  let end = entries.length;
  while (end > 0 && entries[end - 1].delivery === 'sending') end -= 1;
  return end;
}

/** Moves one entry, as little as needed, so that the offsets of its log increase. */
function intoOrder(entries, entry) {
  const from = entries.indexOf(entry);
  const inLog = (other) => other !== entry && sameLog(other, entry.log, entry.epoch);
  const firstAfter = entries.findIndex((other) => inLog(other) && other.offset > entry.offset);
  const lastBefore = entries.findLastIndex((other) => inLog(other) && other.offset < entry.offset);
  if (firstAfter !== -1 && firstAfter < from) {
    entries.splice(firstAfter, 0, ...entries.splice(from, 1));
  } else if (lastBefore > from) {
    // Taking it out first shifts the others down by one, so this puts it right behind `lastBefore`.
    const [moved] = entries.splice(from, 1);
    entries.splice(lastBefore, 0, moved);
  }
}
