// What the chat page knows: conversations, who is in them, who is typing, what is written and not sent. Plain data and the
// functions that change it; it neither talks to the server nor draws. The entries of a conversation are in entries.js.

/** A `typing` of the server counts this long. */
export const TYPING_MS = 4_000;

/**
 * A conversation: `#room` with everyone in a room, or `@user` with one user.
 *
 * `older` is what lies above its entries: 'unknown' before anything was asked, then 'more', 'loading' or 'failed'; and at
 * the top 'beginning', 'lost' (not kept any more) or 'full' (the page does not read further back). `before` is the position
 * where reading back goes on, or null: at the oldest entry. `newFrom` is the key of the first entry that was not seen when
 * it came. `barred` is why we are not let into a room, in the server's words, or null.
 */
export function newConversation(kind, name) {
  return {
    id: (kind === 'room' ? '#' : '@') + name,
    kind,
    name,
    entries: [],
    older: 'unknown',
    before: null,
    members: new Set(),
    typing: new Map(),
    unread: 0,
    newFrom: null,
    barred: null,
    draft: { text: '', uploads: [], wanted: false },
  };
}

/** `front` is the conversation that the reader is in, `frontRoom` the room that they were in last. */
export function newState(user, rooms) {
  const conversations = rooms.map((room) => newConversation('room', room));
  return {
    user,
    front: conversations[0].id,
    frontRoom: conversations[0].id,
    conversations: new Map(conversations.map((conversation) => [conversation.id, conversation])),
  };
}

export const roomsOf = ({ conversations }) => [...conversations.values()].filter(({ kind }) => kind === 'room');
export const privatesOf = ({ conversations }) => [...conversations.values()].filter(({ kind }) => kind === 'private');
export const roomNamed = ({ conversations }, room) => conversations.get(`#${room}`);
export const frontOf = ({ conversations, front }) => conversations.get(front);
export const frontRoomOf = ({ conversations, frontRoom }) => conversations.get(frontRoom);

/** Brings a conversation to the front. */
export function bringToFront(state, { id, kind }) {
  state.front = id;
  if (kind === 'room') state.frontRoom = id;
}

/** The conversation with this kind and name, which is begun if there is none. */
export function ensureConversation(state, kind, name) {
  const made = newConversation(kind, name);
  if (!state.conversations.has(made.id)) state.conversations.set(made.id, made);
  return state.conversations.get(made.id);
}

/** Forgets a conversation; what was in front of it is the last room that is left, or the first. */
export function forget(state, { id }) {
  state.conversations.delete(id);
  if (state.frontRoom === id) state.frontRoom = roomsOf(state)[0].id;
  if (state.front === id) state.front = state.frontRoom;
}

/** A room that we and this user are in, or undefined. */
export const sharedRoom = (state, user) => roomsOf(state).find(({ members }) => members.has(user));

export function unreadTotal(state) {
  let total = 0;
  for (const { unread } of state.conversations.values()) total += unread;
  return total;
}

/** Counts an entry that nobody looked at when it came. */
export function markUnread(conversation, entry) {
  if (conversation.unread === 0) conversation.newFrom = entry.key;
  conversation.unread += 1;
}

/** Remembers that someone is typing. */
export function startTyping({ typing }, user, now) {
  typing.set(user, now + TYPING_MS);
}

/** Forgets who stopped typing; returns who still is. */
export function whoIsTyping({ typing }, now) {
  for (const [user, until] of typing) if (until <= now) typing.delete(user);
  return [...typing.keys()];
}
