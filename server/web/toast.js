// A short message at the edge of the page that goes by itself: an error of the server, "Link copied".

import { $ } from './dom.js';

const SHOWN_MS = 5_000;

let timer;

export function toast(text) {
  const node = $('toast');
  node.textContent = text;
  node.dataset.shown = '';
  clearTimeout(timer);
  timer = setTimeout(() => {
    delete node.dataset.shown;
    node.textContent = '';
  }, SHOWN_MS);
}
