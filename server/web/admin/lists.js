// Who is here: connections, users and rooms, with a search, and what can be done about them.

import { $, el, nameOf, reconcile, setText } from '../dom.js';
import { visible } from '../format.js';
import { ask } from './api.js';
import { bytes, nameOfConnection, number, span } from './units.js';

const LIMIT = 200;
const SEARCH_PAUSE_MS = 250;

const button = (name, label, text) => el('button', { class: `quiet ${name}`, type: 'button', 'aria-label': label }, text);
/** A connection's name, which may break behind its node's. */
const breakable = (name) => name.split(/(?<=\/)/).flatMap((part, index) => (index === 0 ? [part] : [el('wbr'), part]));
const count = (value) => el('td', { class: 'number' }, number(value));

/** Each list: its columns, the key of a row, and the cells of one. */
const LISTS = {
  connections: {
    columns: ['User', 'Connection', 'Address', 'Open', 'In', 'Out', ''],
    keyOf: nameOfConnection,
    cells: ({ user, kind, address, durationMs, flight, ...one }) => [
      el('td', {}, user === undefined ? kind : nameOf(user)),
      el('td', { class: 'wide' }, ...breakable(nameOfConnection(one))),
      el('td', { class: 'wide' }, address),
      el('td', { class: 'number' }, span(durationMs)),
      el('td', { class: 'number wider' }, flight ? bytes(flight.received.bytes) : ''),
      el('td', { class: 'number wider' }, flight ? bytes(flight.sent.bytes) : ''),
      el('td', {}, el('div', { class: 'acts' }, button('why', `Why, of ${nameOfConnection(one)}`, 'Why?'))),
    ],
    wide: [1, 2],
    wider: [4, 5],
    numbers: [3, 4, 5],
  },
  users: {
    columns: ['User', 'Connections', 'Rooms', ''],
    keyOf: ({ user }) => user,
    cells: ({ user, connections, rooms }) => [
      el('td', {}, nameOf(user)),
      count(connections),
      count(rooms),
      el('td', {}, el('div', { class: 'acts' }, button('why', `Why, of ${visible(user)}`, 'Why?'), button('disconnect danger', `Disconnect ${visible(user)}`, 'Disconnect'))),
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
      el('td', {}, el('div', { class: 'acts' }, button('watch', `Watch ${visible(roomId)}`, 'Watch'))),
    ],
    wide: [],
    numbers: [1],
  },
};

/** What is to be said of nodes that did not answer. */
export const silentNodes = ({ silent = [] }) => (silent.length > 0 ? `Without ${silent.join(', ')}: no answer.` : '');

let shown = 'connections';
let asked = 0;
let lastOpen = { connections: 0 };

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

/** Plain HTTP is counted and not listed, and nothing else would say why the list is shorter than the number. */
function quietText(name, open, list) {
  const isWhole = name === 'connections' && $('search').value.trim() === '' && list.length < LIMIT;
  const quiet = isWhole ? open.connections - list.filter(({ node }) => node === open.node).length : 0;
  if (quiet <= 0) return '';
  const what = quiet === 1 ? 'One more connection carries' : `${number(quiet)} more connections carry`;
  return `${what} plain HTTP: browsers keep some open for their next request.`;
}

/**
 * Asks for the list that is shown, and shows what came unless another was asked for meanwhile. `open` is how many `connections`
 * there are at all at the `node` that was asked.
 */
export async function refresh(open = lastOpen) {
  lastOpen = open;
  asked += 1;
  const [name, number_] = [shown, asked];
  const answer = await ask(name, { search: $('search').value.trim(), limit: LIMIT });
  if (number_ !== asked) return;
  const { columns, keyOf, cells, wide, wider = [], numbers } = LISTS[name];
  const list = answer[name];
  if ($('columns').dataset.list !== name) {
    $('columns').dataset.list = name;
    const classOf = (index) =>
      Object.entries({ wide, wider, number: numbers }).filter(([, indices]) => indices.includes(index)).map(([word]) => word).join(' ') || false;
    const heads = columns.map((text, index) => (text ? el('th', { scope: 'col', class: classOf(index) }, text) : el('td', {})));
    $('columns').replaceChildren(el('tr', {}, ...heads));
  }
  const create = (item) => el('tr', { 'data-key': keyOf(item) }, ...cells(item));
  // Only what changed is touched: a button keeps the focus.
  const update = (row, item) => cells(item).forEach((cell, index) => cell.querySelector('button') ?? setText(row.children[index], cell.textContent));
  reconcile($('rows'), list, (item) => `${name} ${keyOf(item)}`, create, update);
  $('nothing').hidden = list.length > 0;
  setText($('quiet'), quietText(name, open, list));
  setText($('silent'), silentNodes(answer));
  $('silent').hidden = answer.silent === undefined;
}
