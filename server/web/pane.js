// A column: one conversation with its heading, messages and message box, made from the template of index.html. Its parts
// have ids, which labels and links refer to: those of the first column are plain, those of the second end in `-2`.

import { Composer } from './composer.js';
import { $, avatar, el, icon, nameOf, setText, setWords, wordsOf } from './dom.js';
import { and, visible } from './format.js';
import { MessageList } from './log.js';
import { sharedRoom, whoIsTyping } from './state.js';

const REFERENCES = ['for', 'aria-labelledby', 'aria-describedby'];

export class Pane {
  conversation = null;
  #parts = {};
  #references = [];
  #list;
  #composer;
  #ended = new AbortController();

  /**
   * `actions` get this column as their first argument: `used`, `close`, `copyLink`, `send`, `typing`, `attach(files)`,
   * `remove(upload)`, `retryUpload(upload)`, `retry(entry)`, `discard(entry)`, `older`, `reachedEnd`.
   */
  constructor(actions) {
    const { signal } = this.#ended;
    const act = (name) => (...values) => actions[name](this, ...values);
    const root = $('pane').content.firstElementChild.cloneNode(true);
    for (const node of root.querySelectorAll('[data-part]')) this.#parts[camel(node.dataset.part)] = node;
    this.#parts.pane = root;
    this.#findReferences(root);
    const { close, copyLink } = this.#parts;
    root.addEventListener('focusin', act('used'), { signal });
    root.addEventListener('pointerdown', act('used'), { signal });
    close.addEventListener('click', act('close'), { signal });
    copyLink.addEventListener('click', act('copyLink'), { signal });
    const list = { retry: act('retry'), discard: act('discard'), older: act('older'), reachedEnd: act('reachedEnd') };
    this.#list = new MessageList(this.#parts, list, signal);
    const compose = { send: act('send'), typing: act('typing'), attach: act('attach'), remove: act('remove'), retry: act('retryUpload') };
    this.#composer = new Composer(this.#parts, compose, signal);
  }

  get node() {
    return this.#parts.pane;
  }

  /** Whether someone who looks at the page sees the newest message here. */
  get showsEnd() {
    return this.#list.atEnd && this.node.checkVisibility();
  }

  get isScrolledUp() {
    return !this.#list.atEnd;
  }

  /** Which column this is, from 1 on. */
  set number(number) {
    const suffix = number === 1 ? '' : `-${number}`;
    for (const node of Object.values(this.#parts)) if (node !== this.node) node.id = node.dataset.part + suffix;
    for (const { node, name, part } of this.#references) node.setAttribute(name, part + suffix);
  }

  open(conversation) {
    this.conversation = conversation;
    this.node.dataset.shows = conversation.id;
    if (conversation.unread === 0) conversation.newFrom = null;
    this.#composer.open(conversation.draft);
    this.#list.open(conversation);
  }

  /** Shows the newest message, whatever was read. */
  toEnd() {
    this.#list.toEnd();
  }

  focus() {
    this.#composer.focus();
  }

  remove() {
    this.#ended.abort();
    this.node.remove();
  }

  draw(state, isOnly) {
    this.#drawHeading(state, isOnly);
    this.#drawEmpty();
    this.#list.draw();
    this.#drawBarred();
    this.#composer.draw();
    this.drawTyping();
  }

  /** The typing ones, who go by the clock. */
  drawTyping() {
    const { typing } = this.#parts;
    const { kind } = this.conversation;
    const users = kind === 'room' ? whoIsTyping(this.conversation, Date.now()) : [];
    const text = JSON.stringify(users);
    if (typing.dataset.text === text) return;
    typing.dataset.text = text;
    const dots = el('span', { class: 'dots', 'aria-hidden': 'true' }, el('i'), el('i'), el('i'));
    const words = el('span', {}, ...wordsOf(typingWords(users)));
    typing.replaceChildren(...(users.length === 0 ? [] : [dots, words]));
  }

  #drawHeading(state, isOnly) {
    const { id, kind, name, members, barred } = this.conversation;
    const { title, titleMark, subtitle, copyLink, close, composer } = this.#parts;
    if (titleMark.dataset.of !== id) {
      titleMark.dataset.of = id;
      titleMark.replaceChildren(kind === 'room' ? icon('hash') : avatar(name));
      title.replaceChildren(nameOf(name));
    }
    setWords(subtitle, kind === 'room' ? roomSubtitle(members.size, barred !== null) : privateSubtitle(sharedRoom(state, name)));
    copyLink.hidden = kind !== 'room' || barred !== null;
    close.hidden = isOnly;
    composer.placeholder = kind === 'room' ? `Message everyone in ${visible(name)}` : `Message ${visible(name)} privately`;
  }

  /** Why we are not let in stands where the message box would be, as long as that is so. */
  #drawBarred() {
    const { barred } = this.conversation;
    this.#composer.close(barred !== null);
    this.#parts.barred.hidden = barred === null;
    setText(this.#parts.barredText, barred ?? '');
  }

  #drawEmpty() {
    const { id, kind, name, entries, older, barred } = this.conversation;
    const { empty, emptyMark, emptyTitle, emptyText } = this.#parts;
    empty.hidden = entries.length > 0 || older === 'loading' || older === 'failed';
    const of = barred === null ? id : `${id} barred`;
    if (empty.hidden || empty.dataset.of === of) return;
    empty.dataset.of = of;
    emptyMark.replaceChildren(kind === 'room' ? icon('hash') : avatar(name));
    const [title, text] = emptyWords(this.conversation);
    emptyTitle.replaceChildren(...wordsOf(title));
    setText(emptyText, text);
  }

  #findReferences(root) {
    for (const node of [root, ...root.querySelectorAll('*')]) {
      for (const name of REFERENCES) {
        const part = node.getAttribute(name);
        if (part !== null) this.#references.push({ node, name, part });
      }
    }
  }
}

const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());

function roomSubtitle(count, isBarred) {
  if (isBarred) return ['You are not in this room'];
  if (count === 0) return ['Joining…'];
  return [count === 1 ? 'Only you are here' : `${count} people here`];
}

const privateSubtitle = (room) => (room === undefined ? ['Private, not here at the moment'] : ['Private, in ', { name: room.name }, ' now']);

/** What stands in place of messages: a title in parts, and a text. */
function emptyWords({ kind, name, barred }) {
  if (barred !== null) return [['You are not let into ', { name }], 'To come in with another token, leave the chat and show it.'];
  if (kind === 'room') return [['Welcome to ', { name }], 'Nothing has been said here yet. Say hello, or copy the link and invite someone.'];
  return [
    ['You and ', { name }],
    'Only the two of you can read what is written here. What you wrote before you opened this page is not shown.',
  ];
}

function typingWords(users) {
  if (users.length > 3) return ['Several people are typing…'];
  return [...and(users), users.length === 1 ? ' is typing…' : ' are typing…'];
}
