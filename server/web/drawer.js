// The sidebar as a drawer, on screens too narrow to show it beside the conversation: opened by the menu button of a column,
// closed by Escape, by the backdrop or by a choice. On wide screens it is always there and this does nothing.

import { $ } from './dom.js';

export class Drawer {
  /** The menu button that opened it, or null while it is closed. */
  #opener = null;

  constructor(signal) {
    const on = (target, type, handle) => target.addEventListener(type, handle, { signal });
    on($('panes'), 'click', (event) => this.#open(event.target.closest('.menu')));
    on($('backdrop'), 'click', () => this.close());
    on(document, 'keydown', (event) => event.key === 'Escape' && this.close());
    on(matchMedia('(min-width: 50rem)'), 'change', () => this.#show(null));
    this.#show(null);
  }

  close() {
    const opener = this.#opener;
    if (opener === null) return;
    this.#show(null);
    opener.focus();
  }

  #open(menu) {
    if (menu === null) return;
    this.#show(menu);
    $('sidebar').querySelector('button').focus();
  }

  #show(opener) {
    const open = opener !== null;
    (opener ?? this.#opener)?.setAttribute('aria-expanded', String(open));
    this.#opener = opener;
    if (open) $('sidebar').dataset.open = '';
    else delete $('sidebar').dataset.open;
    $('backdrop').hidden = !open;
    // What lies under the drawer is out of reach, for the keyboard too.
    for (const id of ['main', 'status']) $(id).inert = open;
  }
}
