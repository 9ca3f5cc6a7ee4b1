// The message list: draws the rows of one conversation and keeps the reader where they are. It follows the newest message
// while the reader is at the end; a reader who has scrolled up stays, is offered a button to come back, and gets what is
// older as they come near to the top.

import { el, nameOf, reconcile, setText, setWords } from './dom.js';
import { plural } from './format.js';
import { createMessage, updateMessage } from './message.js';
import { rowsOf } from './rows.js';

/** This near to the end counts as being at the end; a finger is not exact. */
const NEAR_PX = 48;
/** This near to the top, older messages are asked for, so that a reader seldom sees them come. */
const NEAR_TOP_PX = 600;
/** What stays above the line where reading stopped when a conversation is opened there. */
const ABOVE_NEW_PX = 96;
/** How long the list keeps silent after another conversation or older messages, so that they are not read aloud as news. */
const HUSH_MS = 500;

export class MessageList {
  #log;
  #jump;
  #jumpText;
  #actions;
  #conversation = null;
  #atEnd = true;
  #hush;

  /** `actions` are `retry(entry)`, `discard(entry)`, `older()` near to the top, and `reachedEnd()`. */
  constructor({ log, jump, jumpText }, actions, signal) {
    this.#log = log;
    this.#jump = jump;
    this.#jumpText = jumpText;
    this.#actions = actions;
    log.addEventListener('scroll', () => this.#scrolled(), { passive: true, signal });
    log.addEventListener('click', (event) => this.#clicked(event), { signal });
    // A picture of unknown size takes its place late; load events do not bubble.
    log.addEventListener('load', () => this.#follow(), { capture: true, signal });
    jump.addEventListener('click', () => this.#jumped(), { signal });
    const resized = new ResizeObserver(() => this.#resized());
    resized.observe(log);
    signal.addEventListener('abort', () => {
      resized.disconnect();
      clearTimeout(this.#hush);
    });
  }

  /** Whether the reader sees the newest message, if the page is seen at all. */
  get atEnd() {
    return this.#atEnd;
  }

  /** Shows another conversation: from where reading stopped, else from its end. */
  open(conversation) {
    this.#silence();
    this.#conversation = conversation;
    this.#atEnd = true;
    this.draw();
    const line = conversation.unread > 0 ? this.#log.querySelector('.new-line') : null;
    if (line === null) return;
    this.#log.scrollTop += line.getBoundingClientRect().top - this.#log.getBoundingClientRect().top - ABOVE_NEW_PX;
    this.#scrolled();
  }

  draw() {
    const loading = this.#conversation.older === 'loading';
    if (loading) this.#silence();
    if (this.#atEnd) this.#drawRows();
    else this.#keepStill(() => this.#drawRows());
    this.#follow();
    this.#drawJump();
    if (!loading && this.#log.getAttribute('aria-live') === 'off') this.#speakSoon();
    this.#wantOlder();
  }

  #drawRows() {
    reconcile(this.#log, rowsOf(this.#conversation), (row) => row.key, createRow, updateRow);
  }

  /** Rows come and go above while someone reads below them; what they read stays where it is. */
  #keepStill(change) {
    const { top } = this.#log.getBoundingClientRect();
    const topOf = (row) => row.getBoundingClientRect().top;
    // What stands above the messages moves with what comes in under it.
    const isRead = (row) => row.matches('.message, .note') && row.getBoundingClientRect().bottom > top;
    const read = [...this.#log.children].find(isRead);
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

  #resized() {
    this.#follow();
    this.#wantOlder();
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#log;
    this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    if (this.#atEnd) this.#actions.reachedEnd();
    this.#drawJump();
    this.#wantOlder();
  }

  #wantOlder() {
    const { clientHeight, scrollTop } = this.#log;
    const { older } = this.#conversation;
    // A list that is not on the screen has no height, and nobody who reads it.
    if (clientHeight > 0 && scrollTop < NEAR_TOP_PX && (older === 'more' || older === 'unknown')) this.#actions.older();
  }

  #silence() {
    clearTimeout(this.#hush);
    this.#log.setAttribute('aria-live', 'off');
  }

  #speakSoon() {
    clearTimeout(this.#hush);
    this.#hush = setTimeout(() => this.#log.setAttribute('aria-live', 'polite'), HUSH_MS);
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
    if (action === 'older') {
      this.#actions.older();
      return;
    }
    const { key } = event.target.closest('.message').dataset;
    const entry = this.#conversation.entries.find((candidate) => candidate.key === key);
    if (entry !== undefined) this.#actions[action](entry);
  }
}

function createRow(row) {
  switch (row.type) {
    case 'older':
      return el('div', { class: 'older' });
    case 'day':
      return el('h2', { class: 'day' });
    case 'new':
      return el('p', { class: 'new-line' }, 'New messages');
    case 'note':
      return el('p', { class: row.warning ? 'note warning' : 'note' });
    case 'message':
      return createMessage(row.entry);
  }
}

function updateRow(node, row) {
  if (row.type === 'message') updateMessage(node, row);
  else if (row.type === 'older') updateOlder(node, row);
  else if (row.type !== 'new') setWords(node, row.words);
}

/** Nothing comes above these. */
const TOPS = new Set(['beginning', 'lost', 'full']);

function updateOlder(node, { older, kind, name }) {
  if (node.dataset.state === older) return;
  node.dataset.state = older;
  // One piece each: a row of flexible boxes would space the words.
  const text = el('span', {}, ...olderText(older, kind, name));
  if (kind === 'private' && TOPS.has(older)) text.append(' ', ...ownText(name));
  if (older === 'more') node.replaceChildren(olderButton('Show older messages'));
  else if (older === 'failed') node.replaceChildren(text, olderButton('Try again'));
  else if (older === 'loading') node.replaceChildren(el('span', { class: 'spinner', 'aria-hidden': 'true' }), text);
  else node.replaceChildren(text);
}

const olderButton = (label) => el('button', { type: 'button', class: 'quiet', 'data-action': 'older' }, label);

function olderText(older, kind, name) {
  switch (older) {
    case 'more':
      return [];
    case 'loading':
      return ['Loading older messages…'];
    case 'failed':
      return ['Older messages could not be loaded.'];
    case 'beginning':
      return [kind === 'room' ? 'This is the beginning of ' : 'This is the beginning of what is kept for you from ', nameOf(name), '.'];
    case 'lost':
      return ['What was said before is not kept any more.'];
    case 'full':
      return ['This page reads no further back than this.'];
  }
}

/** What we wrote ourselves in an earlier visit is in the other's log, which only they can read. */
const ownText = (name) => ['What you wrote yourself before you opened this page is kept for ', nameOf(name), ' alone, so it is not shown here.'];
