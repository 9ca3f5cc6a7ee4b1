// Who is here: connections, users and rooms, with a search, and what can be done about them.

import { $, el, nameOf, reconcile, setText } from '../dom.js';
import { ask } from './api.js';
import { bytes, nameOfConnection, number, span } from './units.js';

const LIMIT = 200;
const SEARCH_PAUSE_MS = 250;

const button = (name, label, text) => el('button', { class: `quiet ${name}`, type: 'button', 'aria-label': label }, text);
const count = (value) => el('td', { class: 'number' }, number(value));

/** Each list: its columns, the key of a row, and the cells of one. */
const LISTS = {
  connections: {
    columns: ['User', 'Connection', 'Address', 'Open', 'In', 'Out', ''],
    keyOf: nameOfConnection,
    cells: ({ user, kind, address, durationMs, flight, ...one }) => [
      el('td', {}, user === undefined ? kind : nameOf(user)),
      el('td', { class: 'wide' }, nameOfConnection(one)),
      el('td', { class: 'wide' }, address),
      el('td', { class: 'number' }, span(durationMs)),
      el('td', { class: 'number wide' }, flight ? bytes(flight.received.bytes) : ''),
      el('td', { class: 'number wide' }, flight ? bytes(flight.sent.bytes) : ''),
      el('td', {}, el('div', { class: 'acts' }, button('why', `Why, of ${nameOfConnection(one)}`, 'Why?'))),
    ],
    wide: [1, 2, 4, 5],
    numbers: [3, 4, 5],
  },
  users: {
    columns: ['User', 'Connections', 'Rooms', ''],
    keyOf: ({ user }) => user,
    cells: ({ user, connections, rooms }) => [
      el('td', {}, nameOf(user)),
      count(connections),
      count(rooms),
      el('td', {}, el('div', { class: 'acts' }, button('why', `Why, of ${user}`, 'Why?'), button('disconnect danger', `Disconnect ${user}`, 'Disconnect'))),
    ],
    wide: [],
    numbers: [1, 2],
  },
  rooms: {
    columns: ['Room', 'Users', ''],
    keyOf: ({ roomId }) => roomId,
    cells: ({ roomId, members }) => [
      el('td', {}, nameOf(roomId)),
      count(members),
      el('td', {}, el('div', { class: 'acts' }, button('watch', `Watch ${roomId}`, 'Watch'))),
    ],
    wide: [],
    numbers: [1],
  },
};

/** What is to be said of nodes that did not answer. */
export const silentNodes = ({ silent = [] }) => (silent.length > 0 ? `Without ${silent.join(', ')}: no answer.` : '');

let shown = 'connections';
let asked = 0;

/** `acts` are called with the key of the row whose button was pressed: `why`, `disconnect`, `watch`. */
export function mount(acts, failed) {
  let pause;
  const again = () => refresh().catch(failed);
  $('search').addEventListener('input', () => {
    clearTimeout(pause);
    pause = setTimeout(again, SEARCH_PAUSE_MS);
  });
  $('tabs').addEventListener('click', ({ target }) => {
    const tab = target.closest('[data-tab]');
    if (tab === null) return;
    shown = tab.dataset.tab;
    for (const other of $('tabs').children) other.setAttribute('aria-pressed', String(other === tab));
    again();
  });
  $('rows').addEventListener('click', ({ target }) => {
    const row = target.closest('[data-key]');
    const act = Object.keys(acts).find((name) => target.closest(`.${name}`) !== null);
    if (row !== null && act !== undefined) acts[act](row.dataset.key);
  });
}

/** Asks for the list that is shown, and shows what came unless another was asked for meanwhile. */
export async function refresh() {
  asked += 1;
  const [name, number_] = [shown, asked];
  const answer = await ask(name, { search: $('search').value.trim(), limit: LIMIT });
  if (number_ !== asked) return;
  const { columns, keyOf, cells, wide, numbers } = LISTS[name];
  const list = answer[name];
  if ($('columns').dataset.list !== name) {
    $('columns').dataset.list = name;
    const classOf = (index) => [wide.includes(index) ? 'wide' : '', numbers.includes(index) ? 'number' : ''].join(' ').trim() || false;
    const heads = columns.map((text, index) => (text ? el('th', { scope: 'col', class: classOf(index) }, text) : el('td', {})));
    $('columns').replaceChildren(el('tr', {}, ...heads));
  }
  const create = (item) => el('tr', { 'data-key': keyOf(item) }, ...cells(item));
  // Only what changed is touched: a button keeps the focus.
  const update = (row, item) => cells(item).forEach((cell, index) => cell.querySelector('button') ?? setText(row.children[index], cell.textContent));
  reconcile($('rows'), list, (item) => `${name} ${keyOf(item)}`, create, update);
  $('nothing').hidden = list.length > 0;
  setText($('silent'), silentNodes(answer));
  $('silent').hidden = answer.silent === undefined;
}
