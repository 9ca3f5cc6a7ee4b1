// The message box: Enter sends, Shift+Enter starts a line, the box grows with its text, and the others are told now and
// then that someone is typing.

import { $ } from './dom.js';
import { bytesOf } from './format.js';
import { toast } from './toast.js';

/** The server takes messages of 64 KiB; this leaves room for what is around the text. */
const TEXT_BYTES_MAX = 60 * 1024;
/** Others show a `typing` for four seconds; one every few seconds keeps it alive. */
const TYPING_EVERY_MS = 2_500;

export class Composer {
  #box = $('composer');
  #onSend;
  #onTyping;
  #lastTyping = 0;

  constructor(onSend, onTyping, signal) {
    this.#onSend = onSend;
    this.#onTyping = onTyping;
    this.text = '';
    $('compose').addEventListener('submit', (event) => this.#submit(event), { signal });
    this.#box.addEventListener('keydown', (event) => this.#keydown(event), { signal });
    this.#box.addEventListener('input', () => this.#input(), { signal });
  }

  get text() {
    return this.#box.value;
  }

  set text(text) {
    this.#box.value = text;
    this.#changed();
  }

  focus() {
    // On a touch screen the focus would bring up a keyboard over what was just opened.
    if (!matchMedia('(pointer: coarse)').matches) this.#box.focus();
  }

  #submit(event) {
    event.preventDefault();
    const text = this.text.trim();
    if (text === '') return;
    if (bytesOf(JSON.stringify(text)) > TEXT_BYTES_MAX) {
      toast('This message is too long to send. Please split it into parts.');
      return;
    }
    this.text = '';
    this.#lastTyping = 0;
    this.#onSend(text);
  }

  #keydown(event) {
    // While a word is being composed, Enter belongs to the input method.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    $('compose').requestSubmit();
  }

  #input() {
    this.#changed();
    const now = Date.now();
    if (this.text.trim() === '' || now - this.#lastTyping < TYPING_EVERY_MS) return;
    this.#lastTyping = now;
    this.#onTyping();
  }

  #changed() {
    $('send').disabled = this.text.trim() === '';
    if (CSS.supports('field-sizing', 'content')) return;
    this.#box.style.height = 'auto';
    this.#box.style.height = `${this.#box.scrollHeight}px`;
  }
}
