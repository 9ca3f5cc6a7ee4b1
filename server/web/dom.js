// The few helpers with which the page is drawn. Text enters the document only as text nodes and attributes here.

import { hueOf, initials, visible } from './format.js';

export const $ = (id) => document.getElementById(id);

/** Makes an element: `props` are attributes, children are nodes or strings. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) setAttribute(node, name, value);
  node.append(...children);
  return node;
}

/** Sets an attribute; false, null and undefined remove it. */
export function setAttribute(node, name, value) {
  if (value === false || value === null || value === undefined) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? '' : value);
}

/** Writes a text only when it differs, so that screen readers hear changes alone. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const SVG = 'http://www.w3.org/2000/svg';

/** An icon of the sprite in index.html. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  const use = document.createElementNS(SVG, 'use');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

export function avatar(name) {
  return el('span', { class: 'avatar', 'data-hue': String(hueOf(name)), 'aria-hidden': 'true' }, initials(name));
}

/** A name that somebody chose, shielded so that its writing direction does not reach the words around it. */
export const nameOf = (name) => el('bdi', {}, visible(name));

/** Words with names among them, as format.js makes them: strings and `{ name }`. */
export const wordsOf = (parts) => parts.map((part) => (typeof part === 'string' ? part : nameOf(part.name)));

/** Writes words with names, only when they differ. */
export function setWords(node, parts) {
  const text = parts.map((part) => (typeof part === 'string' ? part : visible(part.name))).join('');
  if (node.textContent !== text) node.replaceChildren(...wordsOf(parts));
}

const drawn = new WeakMap();

/**
 * Makes the children of `container` follow `items`: nodes are kept by key, made with `create(item)`, brought up to
 * date with `update(node, item)`, and moved or removed only where needed, so that focus and selection survive.
 */
export function reconcile(container, items, keyOf, create, update) {
  const old = drawn.get(container) ?? new Map();
  const now = new Map(items.map((item) => [keyOf(item), item]));
  // What goes must go first: otherwise everything behind it would be moved, and read aloud again.
  for (const [key, node] of old) if (!now.has(key)) node.remove();
  let next = container.firstChild;
  for (const [key, item] of now) {
    const node = old.get(key) ?? create(item);
    update(node, item);
    now.set(key, node);
    if (node === next) next = next.nextSibling;
    else container.insertBefore(node, next);
  }
  drawn.set(container, now);
}
