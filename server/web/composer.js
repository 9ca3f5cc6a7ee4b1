// The message box: Enter sends, Shift+Enter starts a line, the box grows with its text, the others are told now and then
// that someone is typing, and files come in by the button, by pasting, or by dropping them on the column. What is written
// belongs to the conversation's draft; this shows it.

import { drawTray } from './tray.js';

/** Others show a `typing` for four seconds; one every few seconds keeps it alive. */
const TYPING_EVERY_MS = 2_500;

export class Composer {
  #parts;
  #actions;
  #draft = null;
  /** Whether nothing can be written here. */
  #isClosed = false;
  #lastTyping = 0;

  /** `actions` are `send()`, `typing()`, `attach(files)`, `remove(upload)` and `retry(upload)`. */
  constructor(parts, actions, signal) {
    this.#parts = parts;
    this.#actions = actions;
    const on = (target, type, handle) => target.addEventListener(type, handle, { signal });
    on(parts.compose, 'submit', (event) => this.#submit(event));
    on(parts.composer, 'keydown', (event) => this.#keydown(event));
    on(parts.composer, 'input', () => this.#input());
    on(parts.composer, 'paste', (event) => this.#pasted(event));
    on(parts.attach, 'click', () => parts.files.click());
    on(parts.files, 'change', () => this.#chosen());
    on(parts.tray, 'click', (event) => this.#trayClicked(event.target));
    on(parts.pane, 'dragover', (event) => this.#dragged(event));
    on(parts.pane, 'dragleave', (event) => parts.pane.contains(event.relatedTarget) || this.#showDrop(false));
    on(parts.pane, 'drop', (event) => this.#dropped(event));
  }

  /** Closes the box, or opens it again. */
  close(isClosed) {
    this.#isClosed = isClosed;
    this.#parts.compose.hidden = isClosed;
    this.#parts.composeHint.hidden = isClosed;
  }

  /** Shows another draft. */
  open(draft) {
    this.#draft = draft;
    this.#lastTyping = 0;
    this.draw();
  }

  draw() {
    const { composer, send } = this.#parts;
    const { text, uploads } = this.#draft;
    if (composer.value !== text) composer.value = text;
    send.disabled = text.trim() === '' && uploads.length === 0;
    drawTray(this.#parts, this.#draft);
    this.#fit();
  }

  focus() {
    // On a touch screen the focus would bring up a keyboard over what was just opened.
    if (!matchMedia('(pointer: coarse)').matches) this.#parts.composer.focus();
  }

  #submit(event) {
    event.preventDefault();
    this.#lastTyping = 0;
    this.#actions.send();
  }

  #keydown(event) {
    // While a word is being composed, Enter belongs to the input method.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#parts.compose.requestSubmit();
  }

  #input() {
    this.#draft.text = this.#parts.composer.value;
    this.draw();
    const now = Date.now();
    if (this.#draft.text.trim() === '' || now - this.#lastTyping < TYPING_EVERY_MS) return;
    this.#lastTyping = now;
    this.#actions.typing();
  }

  #fit() {
    if (CSS.supports('field-sizing', 'content')) return;
    const { composer } = this.#parts;
    composer.style.height = 'auto';
    composer.style.height = `${composer.scrollHeight}px`;
  }

  // Files.

  #chosen() {
    const { files } = this.#parts;
    this.#actions.attach([...files.files]);
    // Otherwise choosing the same file again would be no change.
    files.value = '';
    this.#parts.composer.focus();
  }

  #pasted(event) {
    // Office programs put a picture of the text beside the text, which is what is meant.
    if (event.clipboardData?.getData('text/plain') === '') this.#take(event, event.clipboardData);
  }

  #take(event, transfer) {
    if (this.#isClosed || transfer === null || transfer.files.length === 0) return;
    event.preventDefault();
    this.#actions.attach([...transfer.files]);
  }

  #dragged(event) {
    if (this.#isClosed || !event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
    this.#showDrop(true);
  }

  #dropped(event) {
    this.#showDrop(false);
    this.#take(event, event.dataTransfer);
    this.#parts.composer.focus();
  }

  #showDrop(shown) {
    if (shown) this.#parts.pane.dataset.drop = '';
    else delete this.#parts.pane.dataset.drop;
  }

  #trayClicked(target) {
    const button = target.closest('button');
    const key = button?.closest('.upload').dataset.key;
    const upload = this.#draft.uploads.find((candidate) => candidate.key === key);
    if (upload === undefined) return;
    if (button.matches('.upload-retry')) this.#actions.retry(upload);
    else this.#actions.remove(upload);
    // The button is gone, or about to be.
    this.#parts.composer.focus();
  }
}
