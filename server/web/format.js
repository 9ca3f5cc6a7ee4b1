// Values to words, for the chat page: times, days, initials, links in a text, and what is a valid name. Pure functions;
// nothing here touches the document.

const NAME_BYTES_MAX = 128;
const HUES = 10;

/** Punctuation that ends a sentence rather than an address. */
const TRAILING = new Set('.,;:!?\'"»”’');
const LINK = /\bhttps?:\/\/[^\s<>"]+/giu;

const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
// Days stand among English words; a clock is the reader's own.
const weekday = new Intl.DateTimeFormat('en', { weekday: 'long', day: 'numeric', month: 'long' });
const fullDate = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'long', year: 'numeric' });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });
const list = new Intl.ListFormat('en', { style: 'long', type: 'conjunction' });

export const timeOfDay = (ms) => clock.format(ms);
export const fullTime = (ms) => moment.format(ms);

/** The local calendar day of a time, as a key that sorts and compares. */
export function dayOf(ms) {
  const date = new Date(ms);
  return date.getFullYear() * 10_000 + (date.getMonth() + 1) * 100 + date.getDate();
}

export function dayName(ms, now = Date.now()) {
  const date = new Date(now);
  const yesterday = new Date(date.getFullYear(), date.getMonth(), date.getDate() - 1);
  if (dayOf(ms) === dayOf(now)) return 'Today';
  if (dayOf(ms) === dayOf(yesterday)) return 'Yesterday';
  return new Date(ms).getFullYear() === date.getFullYear() ? weekday.format(ms) : fullDate.format(ms);
}

export const and = (names) => list.format(names);
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte'];

/** A number of bytes, as people say it: `1.2 MB`. */
export function sizeOf(bytes) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  const unitDisplay = power === 0 ? 'long' : 'short';
  const digits = { maximumFractionDigits: power === 0 ? 0 : 1 };
  return new Intl.NumberFormat('en', { style: 'unit', unit: UNITS[power], unitDisplay, ...digits }).format(bytes / 1000 ** power);
}

/** One or two letters that stand for a name. */
export function initials(name) {
  const words = name.split(/[\s._-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => [...word][0].toLocaleUpperCase()).join('') || [...name][0];
}

/** The colour of a name, as an index into the avatars' colours of chat.css: the same on every screen. */
export function hueOf(name) {
  // FNV-1a; its high bits are the better mixed ones.
  let hash = 0x811c9dc5;
  for (const char of name) hash = Math.imul(hash ^ char.codePointAt(0), 0x01000193);
  return (hash >>> 16) % HUES;
}

/** Splits a text into plain strings and `{ href, text }` links, in order. Only http and https become links. */
export function linkParts(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const address = trimAddress(match[0]);
    if (!URL.canParse(address)) continue;
    if (match.index > end) parts.push(text.slice(end, match.index));
    parts.push({ href: new URL(address).href, text: address });
    end = match.index + address.length;
  }
  if (end < text.length) parts.push(text.slice(end));
  return parts;
}

/** Cuts what belongs to the sentence around an address; a last `)` stays when the address opened it. */
function trimAddress(address) {
  let unopened = address.split(')').length - address.split('(').length;
  let end = address.length;
  // In one pass: others may write sixty thousand of them.
  for (; end > 0; end -= 1) {
    const last = address[end - 1];
    if (last === ')' && unopened > 0) unopened -= 1;
    else if (!TRAILING.has(last)) break;
  }
  return address.slice(0, end);
}

export const bytesOf = (text) => new TextEncoder().encode(text).length;

/** What is wrong with a user's name, as a sentence, or null. */
export function nameProblem(name) {
  if (name === '') return 'Please tell the others your name.';
  return commonProblem(name, 'name');
}

/** What is wrong with a room's name, as a sentence, or null. */
export function roomProblem(room) {
  if (room === '') return 'Please name a room. Any word will do: it opens when you enter it.';
  if (room.startsWith('@')) return 'The name of a room cannot begin with “@”.';
  // Dots are steps in an address, where a room's messages are over HTTP.
  if (['*', '.', '..'].includes(room)) return `A room cannot be called “${room}”.`;
  return commonProblem(room, 'room name');
}

function commonProblem(text, what) {
  if (/\p{Cc}/u.test(text)) return `A ${what} cannot contain control characters.`;
  if (bytesOf(text) > NAME_BYTES_MAX) return `This ${what} is too long: at most ${NAME_BYTES_MAX} bytes fit.`;
  return null;
}
