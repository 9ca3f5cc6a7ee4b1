// What the chat page knows: conversations with their entries, who is here, who is typing. Plain data and the functions
// that change it; it neither talks to the server nor draws. An entry is a message or a note (who came and went, what was
// missed); a room's entries follow the order of its log, with what is still on its way at the end.

/** Older entries leave the page: a room that is open for days must not grow for days. */
const ENTRIES_MAX = 500;
/** A `typing` of the server counts this long. */
export const TYPING_MS = 4_000;

let lastKey = 0;

/** A conversation: `#room` with everyone in a room, or `@user` with one user. */
export function newConversation(kind, name) {
  return { id: (kind === 'room' ? '#' : '@') + name, kind, name, entries: [], unread: 0, draft: '' };
}

export function newState(user, room) {
  const conversation = newConversation('room', room);
  return {
    user,
    room,
    open: conversation.id,
    conversations: new Map([[conversation.id, conversation]]),
    members: new Set(),
    typing: new Map(),
  };
}

export const openConversation = (state) => state.conversations.get(state.open);
export const roomConversation = (state) => state.conversations.get(`#${state.room}`);

export function privateConversation(state, user) {
  const id = `@${user}`;
  if (!state.conversations.has(id)) state.conversations.set(id, newConversation('private', user));
  return state.conversations.get(id);
}

export function unreadTotal(state) {
  let total = 0;
  for (const { unread } of state.conversations.values()) total += unread;
  return total;
}

/** Adds a message from the server; returns its entry, or null when it is there already. `log` names its order. */
export function receive(conversation, log, { from, content, time, offset, epoch }, extra = {}) {
  const known = conversation.entries.some((entry) => sameLog(entry, log, epoch) && entry.offset === offset);
  if (known) return null;
  const entry = { key: nextKey(), type: 'message', from, content, time, log, offset, epoch, delivery: 'kept', ...extra };
  conversation.entries.splice(endOfKept(conversation.entries), 0, entry);
  intoOrder(conversation.entries, entry);
  trim(conversation);
  return entry;
}

/** Adds a message of our own, on its way. */
export function compose(conversation, from, content, time) {
  const entry = { key: nextKey(), type: 'message', from, content, time, delivery: 'sending', mine: true };
  conversation.entries.push(entry);
  trim(conversation);
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
export function note(conversation, time, what) {
  conversation.entries.splice(endOfKept(conversation.entries), 0, { key: nextKey(), type: 'note', time, ...what });
  trim(conversation);
}

/** Remembers that someone is typing. */
export function startTyping(state, user, now) {
  state.typing.set(user, now + TYPING_MS);
}

/** Forgets who stopped typing; returns who still is. */
export function whoIsTyping(state, now) {
  for (const [user, until] of state.typing) if (until <= now) state.typing.delete(user);
  return [...state.typing.keys()];
}

const nextKey = () => `e${(lastKey += 1)}`;

const sameLog = (entry, log, epoch) => entry.log === log && entry.epoch === epoch;

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

function trim(conversation) {
  const excess = conversation.entries.length - ENTRIES_MAX;
  if (excess > 0) conversation.entries.splice(0, excess);
}
