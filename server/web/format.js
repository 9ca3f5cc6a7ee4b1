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

/** Names as a list, in parts: the words between as strings, the names as `{ name }`. */
export const and = (names) => list.formatToParts(names).map(({ type, value }) => (type === 'element' ? { name: value } : value));
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

const UNITS = ['KiB', 'MiB', 'GiB'];
const size = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

/** A number of bytes in the units of the server's limits: `1.2 MiB`. */
export function sizeOf(bytes) {
  if (bytes < 1024) return plural(bytes, 'byte');
  const power = Math.min(UNITS.length, Math.floor(Math.log2(bytes) / 10));
  return `${size.format(bytes / 1024 ** power)} ${UNITS[power - 1]}`;
}

/**
 * What is not seen of a name and changes how it reads: controls, what turns the direction of writing (UAX #9), what has no
 * width. Joiners stay between emoji, and where a script needs them; what chooses between two looks of a character stays
 * behind one that may have two, and the letters that make a flag another stay behind it.
 */
const HIDDEN = new RegExp(
  [
    '(?<=[\\p{Extended_Pictographic}\\p{Emoji_Modifier}\\ufe0f])\\u200d(?=\\p{Extended_Pictographic})',
    '(?<=(?![\\p{scx=Latin}\\p{scx=Greek}\\p{scx=Cyrillic}])[\\p{L}\\p{M}])[\\u200c\\u200d](?=[\\p{L}\\p{M}])',
    '(?<=[\\p{Emoji}\\p{S}\\p{sc=Han}])[\\ufe00-\\ufe0f\\u{e0100}-\\u{e01ef}]',
    '(?<=\\u{1f3f4}[\\u{e0020}-\\u{e007f}]*)[\\u{e0020}-\\u{e007f}]',
    '([\\p{Cc}\\p{Bidi_C}\\p{DI}\\p{Zl}\\p{Zp}\\u2800])',
  ].join('|'),
  'gu',
);
/** Spaces that are seen only between words: at an end, or one beside another. */
const BLANK = /^\s+|\s+$|(?<=\s)\s+/gu;

/** A name with a sign for what is not seen in it: `\ufffd`, as `tidewire tail` has it, and `␣` for a space that is lost. */
export function visible(name) {
  const shown = name.replace(HIDDEN, (kept, hidden) => (hidden === undefined ? kept : '\ufffd'));
  return shown.replace(BLANK, (blanks) => '␣'.repeat(blanks.length));
}

/** One or two letters that stand for a name. */
export function initials(name) {
  const words = visible(name).split(/[\s._-]+/u).filter(Boolean);
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
  // Dots are steps in an address, where a room's messages are over HTTP; the others are logs of the server's own.
  if (['*', '.', '..', '$canary', '$cluster'].includes(room)) return `A room cannot be called “${room}”.`;
  return commonProblem(room, 'room name');
}

function commonProblem(text, what) {
  if (/\p{Cc}/u.test(text)) return `A ${what} cannot contain control characters.`;
  if (bytesOf(text) > NAME_BYTES_MAX) return `This ${what} is too long: at most ${NAME_BYTES_MAX} bytes fit.`;
  return null;
}
