// The message list: draws the rows of one conversation and keeps the reader where they are. It follows the newest message
// while the reader is at the end; a reader who has scrolled up stays, and is offered a button to come back.

import { avatar, el, icon, nameOf, reconcile, setAttribute, setText } from './dom.js';
import { fullTime, linkParts, plural, textOf, timeOfDay } from './format.js';
import { rowsOf } from './rows.js';

/** This near to the end counts as being at the end; a finger is not exact. */
const NEAR_PX = 48;
/** How long the list keeps silent after another conversation was opened, so that it is not read aloud as news. */
const HUSH_MS = 500;

const DELIVERY = { sending: 'Sending', kept: 'Sent', failed: 'Not sent' };

export class MessageList {
  #log;
  #jump;
  #jumpText;
  #actions;
  #conversation = null;
  #atEnd = true;
  #hush;

  /** `actions` are `retry(entry)`, `discard(entry)` and `reachedEnd()`. */
  constructor({ log, jump, jumpText }, actions, signal) {
    this.#log = log;
    this.#jump = jump;
    this.#jumpText = jumpText;
    this.#actions = actions;
    log.addEventListener('scroll', () => this.#scrolled(), { passive: true, signal });
    log.addEventListener('click', (event) => this.#clicked(event), { signal });
    jump.addEventListener('click', () => this.#jumped(), { signal });
    const resized = new ResizeObserver(() => this.#follow());
    resized.observe(log);
    signal.addEventListener('abort', () => resized.disconnect());
  }

  /** Whether the reader sees the newest message, if the page is seen at all. */
  get atEnd() {
    return this.#atEnd;
  }

  /** Shows another conversation, from its end. */
  open(conversation) {
    clearTimeout(this.#hush);
    this.#log.setAttribute('aria-live', 'off');
    this.#hush = setTimeout(() => this.#log.setAttribute('aria-live', 'polite'), HUSH_MS);
    this.#conversation = conversation;
    this.#atEnd = true;
    this.draw();
  }

  draw() {
    if (this.#atEnd) this.#drawRows();
    else this.#keepStill(() => this.#drawRows());
    this.#follow();
    this.#drawJump();
  }

  #drawRows() {
    reconcile(this.#log, rowsOf(this.#conversation.entries), (row) => row.key, createRow, updateRow);
  }

  /** Old rows leave at the top while someone reads below them; what they read stays where it is. */
  #keepStill(change) {
    const { top } = this.#log.getBoundingClientRect();
    const topOf = (row) => row.getBoundingClientRect().top;
    const read = [...this.#log.children].find((row) => topOf(row) >= top);
    const before = read && topOf(read);
    change();
    if (read?.isConnected) this.#log.scrollTop += topOf(read) - before;
  }

  toEnd() {
    this.#atEnd = true;
    this.#follow();
  }

  #follow() {
    if (this.#atEnd) this.#log.scrollTop = this.#log.scrollHeight;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#log;
    this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    if (this.#atEnd) this.#actions.reachedEnd();
    this.#drawJump();
  }

  #drawJump() {
    const { unread } = this.#conversation;
    this.#jump.hidden = this.#atEnd;
    setText(this.#jumpText, unread > 0 ? plural(unread, 'new message') : 'To the newest');
  }

  #jumped() {
    this.toEnd();
    // The button is about to disappear; what had the focus should not be nothing.
    this.#log.focus();
  }

  #clicked(event) {
    const action = event.target.closest('[data-action]')?.dataset.action;
    if (action === undefined) return;
    const { key } = event.target.closest('.message').dataset;
    const entry = this.#conversation.entries.find((candidate) => candidate.key === key);
    if (entry !== undefined) this.#actions[action](entry);
  }
}

function createRow(row) {
  if (row.type === 'day') return el('h2', { class: 'day' });
  if (row.type === 'note') return el('p', { class: row.warning ? 'note warning' : 'note' });
  return createMessage(row.entry);
}

function updateRow(node, row) {
  if (row.type === 'message') updateMessage(node, row);
  else setText(node, row.text);
}

function createMessage(entry) {
  const author = entry.mine ? 'You' : nameOf(entry.from);
  const head = el('p', { class: 'head' }, author);
  if (entry.announcement) head.append(el('span', { class: 'tag' }, 'to everyone'));
  const text = el('div', { class: 'text', dir: 'auto' }, ...linked(textOf(entry.content)));
  const bubble = el('div', { class: 'bubble' }, text, el('span', { class: 'meta' }));
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

function updateMessage(node, { entry, first, last }) {
  const drawn = `${first} ${last} ${entry.delivery} ${entry.time} ${entry.reason}`;
  if (node.dataset.drawn === drawn) return;
  node.dataset.drawn = drawn;
  setAttribute(node, 'data-first', first);
  setAttribute(node, 'data-last', last);
  node.dataset.delivery = entry.delivery;
  drawMeta(node.querySelector('.meta'), entry);
  node.querySelector('.failure')?.remove();
  if (entry.delivery === 'failed') node.querySelector('.column').append(failure(entry));
}

function drawMeta(meta, entry) {
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
