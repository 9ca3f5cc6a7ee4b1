// The columns: one to begin with, more where a conversation is opened beside another. One is active: the one that was used
// last. On a phone that is the only one to be seen; chat.css sees to it.

import { $ } from './dom.js';
import { Pane } from './pane.js';

/** More are too narrow to read on most screens. */
const PANES_MAX = 3;

export class Panes {
  #panes = [];
  #active = null;
  #actions;

  constructor(actions) {
    this.#actions = actions;
  }

  get all() {
    return this.#panes;
  }

  get active() {
    return this.#active;
  }

  get isFull() {
    return this.#panes.length >= PANES_MAX;
  }

  /** The column that shows this conversation, or undefined. */
  showing(conversation) {
    return this.#panes.find((pane) => pane.conversation === conversation);
  }

  /** Shows a conversation in the active column, unless another column does already; that becomes the active one. */
  open(conversation) {
    const shown = this.showing(conversation);
    if (shown !== undefined) {
      this.activate(shown);
      return;
    }
    if (this.#active === null) this.#add();
    this.#active.open(conversation);
  }

  /** Shows a conversation in a column of its own, which becomes the active one. */
  openBeside(conversation) {
    if (this.showing(conversation) === undefined && !this.isFull) this.#add();
    this.open(conversation);
    // The columns got narrower, and lines longer.
    for (const pane of this.#panes) if (!pane.isScrolledUp) pane.toEnd();
  }

  /** Closes a column; there is always one left. */
  close(pane) {
    if (this.#panes.length === 1) return;
    this.#panes = this.#panes.filter((other) => other !== pane);
    pane.remove();
    this.#number();
    if (this.#active === pane) this.activate(this.#panes.at(-1));
  }

  activate(pane) {
    this.#active = pane;
    for (const { node } of this.#panes) {
      if (node === pane.node) node.dataset.active = '';
      else delete node.dataset.active;
    }
  }

  removeAll() {
    for (const pane of this.#panes) pane.remove();
    this.#panes = [];
  }

  #add() {
    const pane = new Pane(this.#actions);
    const at = this.#panes.indexOf(this.#active) + 1;
    this.#panes.splice(at, 0, pane);
    if (this.#active === null) $('panes').append(pane.node);
    else this.#active.node.after(pane.node);
    this.#number();
    this.activate(pane);
  }

  #number() {
    this.#panes.forEach((pane, index) => (pane.number = index + 1));
  }
}
