// Draws one message of the list: its author, its text with links, its pictures and files, when it was said and whether it
// has arrived. What others wrote enters as text nodes and attributes alone; content.js decides what is a file.

import { isPicture, readContent } from './content.js';
import { avatar, el, icon, nameOf, setAttribute } from './dom.js';
import { fullTime, linkParts, sizeOf, timeOfDay, visible } from './format.js';

/** How large a picture is shown, in CSS pixels. */
const PICTURE_WIDTH_MAX = 420;
const PICTURE_HEIGHT_MAX = 320;

const DELIVERY = { sending: 'Sending', kept: 'Sent', failed: 'Not sent' };
/** The server could not keep it yet. */
const DELAYED = 'Not sent yet';

export function createMessage(entry) {
  const author = entry.mine ? 'You' : nameOf(entry.from);
  const head = el('p', { class: 'head' }, author);
  if (entry.announcement) head.append(el('span', { class: 'tag' }, 'to everyone'));
  const { text, files, json } = readContent(entry.content);
  const pictures = files.filter(isPicture);
  const others = files.filter((file) => !isPicture(file));
  const bubble = el('div', { class: 'bubble' }, ...pictures.map(picture), ...others.map(fileLink));
  if (json) bubble.append(el('pre', { class: 'text json', dir: 'ltr' }, text));
  else if (text !== '') bubble.append(el('div', { class: 'text', dir: 'auto' }, ...linked(text)));
  bubble.append(el('span', { class: 'meta' }));
  const attributes = {
    class: entry.announcement ? 'message announcement' : 'message',
    'data-key': entry.key,
    'data-from': entry.from,
    'data-mine': entry.mine,
  };
  return el('article', attributes, avatar(entry.from), el('div', { class: 'column' }, head, bubble));
}

/** A text as nodes, its http and https addresses as links. */
function linked(text) {
  return linkParts(text).map((part) => {
    if (typeof part === 'string') return part;
    return el('a', { href: part.href, target: '_blank', rel: 'noopener noreferrer' }, part.text);
  });
}

function picture(file) {
  const { url, name, width } = file;
  const image = el('img', { alt: visible(name), ...shownSides(file), loading: 'lazy', decoding: 'async', src: url });
  const link = el('a', { class: 'picture', href: url, target: '_blank', rel: 'noopener', title: visible(name) }, image);
  setAttribute(link, 'data-unsized', width === undefined);
  image.addEventListener('error', () => link.replaceWith(fileLink(file)));
  return link;
}

/** Width and height reserve the place, so that nothing jumps when the picture is there. */
function shownSides({ width, height }) {
  if (width === undefined) return {};
  const scale = Math.min(1, PICTURE_WIDTH_MAX / width, PICTURE_HEIGHT_MAX / height);
  const scaled = (side) => String(Math.max(1, Math.round(side * scale)));
  return { width: scaled(width), height: scaled(height) };
}

function fileLink({ url, name, size }) {
  const label = el('span', { class: 'file-name', dir: 'auto' }, visible(name));
  return el('a', { class: 'file', href: url, target: '_blank', rel: 'noopener' }, icon('file'), label, ' ', el('span', { class: 'file-size' }, sizeOf(size)));
}

export function updateMessage(node, { entry, first, last }) {
  const drawn = `${first} ${last} ${entry.delivery} ${entry.isDelayed} ${entry.time} ${entry.reason}`;
  if (node.dataset.drawn === drawn) return;
  node.dataset.drawn = drawn;
  setAttribute(node, 'data-first', first);
  setAttribute(node, 'data-last', last);
  node.dataset.delivery = entry.delivery;
  setAttribute(node, 'data-delayed', isWaiting(entry));
  drawMeta(node.querySelector('.meta'), entry);
  node.querySelector('.failure')?.remove();
  if (entry.delivery === 'failed') node.querySelector('.column').append(failure(entry));
}

const isWaiting = ({ delivery, isDelayed }) => delivery === 'sending' && isDelayed === true;

function drawMeta(meta, entry) {
  if (isWaiting(entry)) {
    meta.replaceChildren(DELAYED, icon(entry.delivery));
    return;
  }
  const iso = new Date(entry.time).toISOString();
  meta.replaceChildren(el('time', { datetime: iso, title: fullTime(entry.time) }, timeOfDay(entry.time)));
  if (!entry.mine) return;
  meta.append(icon(entry.delivery), el('span', { class: 'hidden' }, DELIVERY[entry.delivery]));
}

function failure(entry) {
  return el(
    'p',
    { class: 'failure' },
    el('span', {}, `Not sent. ${entry.reason}`),
    el('button', { type: 'button', class: 'retry', 'data-action': 'retry' }, 'Try again'),
    el('button', { type: 'button', class: 'discard', 'data-action': 'discard' }, 'Discard'),
  );
}
