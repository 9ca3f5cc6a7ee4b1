// Entries to rows: what the message list shows, before it is drawn. Adds what lies above the entries, the days and the line
// where reading stopped, puts messages of one author in a row into a group, and folds comings and goings that follow each
// other into one line. Pure.

import { and, dayName, dayOf } from './format.js';

/** Messages of one author further apart than this begin a new group. */
const GROUP_MS = 5 * 60_000;

/**
 * Rows of a conversation: `{ key, type: 'older' | 'day' | 'new' | 'note' | 'message', … }`; keys are stable from one call to
 * the next, also when older entries come in above.
 */
export function rowsOf({ kind, name, entries, older, newFrom }) {
  const hasTop = older === 'loading' || older === 'failed' || (older !== 'unknown' && entries.length > 0);
  const rows = hasTop ? [{ key: `older-${kind}-${name}`, type: 'older', older, kind, name }] : [];
  const times = new Map();
  let day = null;
  for (const entry of entries) {
    if (dayOf(entry.time) !== day) {
      day = dayOf(entry.time);
      // Clocks may go back, and a day come twice; a key may not.
      times.set(day, (times.get(day) ?? 0) + 1);
      rows.push({ key: `day-${day}-${times.get(day)}`, type: 'day', words: [dayName(entry.time)] });
    }
    if (entry.key === newFrom) rows.push({ key: 'new', type: 'new' });
    if (entry.type === 'note') addNote(rows, entry);
    else addMessage(rows, entry);
  }
  return rows;
}

function addMessage(rows, entry) {
  const above = rows.at(-1);
  const joins = above?.type === 'message' && sameGroup(above.entry, entry);
  if (joins) above.last = false;
  rows.push({ key: entry.key, type: 'message', entry, first: !joins, last: true });
}

/** A failed message ends its group: its buttons stand between it and the next. */
function sameGroup(a, b) {
  if (a.delivery === 'failed') return false;
  return a.from === b.from && a.announcement === b.announcement && Math.abs(b.time - a.time) < GROUP_MS;
}

function addNote(rows, entry) {
  const above = rows.at(-1);
  if (entry.user !== undefined && above?.moves !== undefined) {
    above.moves.push(entry);
    above.words = sentence(above.moves);
  } else if (entry.user !== undefined) {
    rows.push({ key: entry.key, type: 'note', moves: [entry], words: sentence([entry]) });
  } else {
    rows.push({ key: entry.key, type: 'note', words: [entry.text], warning: true });
  }
}

/** Says in one line, in parts, what became of everyone: who dropped and came back has not left. */
function sentence(moves) {
  const fates = new Map();
  for (const { user, event } of moves) fates.set(user, { first: fates.get(user)?.first ?? event, last: event });
  const groups = new Map();
  for (const [user, fate] of fates) {
    const what = FATES[`${fate.first} ${fate.last}`];
    groups.set(what, [...(groups.get(what) ?? []), user]);
  }
  return [...groups].flatMap(([what, users], index) => [...(index > 0 ? [' · '] : []), ...and(users), what(users)]);
}

const FATES = {
  'join join': () => ' joined',
  'leave leave': () => ' left',
  'leave join': (users) => (users.length === 1 ? ' is back' : ' are back'),
  'join leave': () => ' came by and left',
};
