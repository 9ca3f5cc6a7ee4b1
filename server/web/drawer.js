// The sidebar as a drawer, on screens too narrow to show it beside the conversation: opened by the menu button, closed by
// Escape, by the backdrop or by a choice. On wide screens it is always there and this does nothing.

import { $ } from './dom.js';

export class Drawer {
  constructor(signal) {
    const on = (target, type, handle) => target.addEventListener(type, handle, { signal });
    on($('menu'), 'click', () => this.#show(true));
    on($('backdrop'), 'click', () => this.close());
    on(document, 'keydown', (event) => event.key === 'Escape' && this.close());
    on(matchMedia('(min-width: 50rem)'), 'change', () => this.#show(false));
    this.#show(false);
  }

  close() {
    if ($('sidebar').dataset.open === undefined) return;
    this.#show(false);
    $('menu').focus();
  }

  #show(open) {
    if (open) $('sidebar').dataset.open = '';
    else delete $('sidebar').dataset.open;
    $('backdrop').hidden = !open;
    // What lies under the drawer is out of reach, for the keyboard too.
    $('main').inert = open;
    $('menu').setAttribute('aria-expanded', String(open));
    if (open) $('sidebar').querySelector('button').focus();
  }
}
