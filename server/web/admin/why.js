// Why connections ended: the form, the answer as people read it, and the causes that were counted.

import { $, el, nameOf, reconcile, setText, setWords } from '../dom.js';
import { ask } from './api.js';
import { bytes, moment, nameOfConnection, span } from './units.js';

const FIRST = { client: 'the client', server: 'the server', network: 'the network' };

/** What a text names: as `tidewire why` sees it. */
function queryOf(subject) {
  if (/^([\w.-]+\/)?c-\d+-\d+$/.test(subject)) return { connection: subject };
  if (/^[\d.]+(:\d+)?$/.test(subject) || /^\[?[\da-f:]*:[\da-f:.]*\]?(:\d+)?$/i.test(subject)) return { address: subject };
  return { user: subject };
}

export function mount(failed) {
  $('ask').addEventListener('submit', (event) => {
    event.preventDefault();
    why($('subject').value.trim()).catch(failed);
  });
}

/** Asks about a subject and shows the answer. */
export async function why(subject) {
  $('subject').value = subject;
  if (subject === '') return;
  const { recorder, connections } = await ask('why', queryOf(subject));
  const nothing = recorder ? 'nothing is known' : 'nothing is kept of who has gone (--recorder off), and nobody is here';
  setWords($('no-report'), connections.length ? [] : ['Of ', { name: subject }, ` ${nothing}.`]);
  $('reports').replaceChildren(...connections.map(report));
}

/** Shows how many connections ended for which cause. */
export function showCauses(ended) {
  const some = ended.filter(({ count }) => count > 0);
  const create = ({ cause, meaning }) => el('li', { 'data-cause': cause, title: meaning }, `${cause} `, el('b', {}));
  reconcile($('causes'), some, ({ cause }) => cause, create, (node, { count }) => setText(node.lastChild, String(count)));
}

function report(one, index) {
  const { kind, user, address, cause, meaning, hint } = one;
  const parts = [
    el('h3', {}, `${nameOfConnection(one)}: ${kind}`, ...(user === undefined ? [] : [' of ', nameOf(user)]), ` from ${address}`),
    el('p', { class: 'cause' }, el('b', {}, cause ?? 'open'), cause === undefined ? '' : `: ${meaning}`),
  ];
  if (hint !== undefined) parts.push(el('p', { class: 'hint' }, `${hint}.`));
  const facts = factsOf(one).filter(([, text]) => text !== undefined);
  parts.push(el('dl', {}, ...facts.flatMap(([name, text]) => [el('dt', {}, name), el('dd', {}, text)])));
  if (one.flight?.frames.length) parts.push(frames(one, index === 0));
  return el('article', { class: 'report', 'data-cause': cause ?? '' }, ...parts);
}

function factsOf(one) {
  const { flight, tcp, openedAt, endedAt, durationMs, closedFirst, closeSent, closeReceived } = one;
  const close = (frame) => frame && `${frame.code} ${frame.reason}`.trim();
  const way = ({ frames, bytes: length, lastAt }) => `${frames} frames, ${bytes(length)}${lastAt === undefined ? '' : `, the last ${span(openedAt + durationMs - lastAt)} before`}`;
  const open = endedAt === undefined ? `since ${moment(openedAt)}` : `${moment(openedAt)} to ${moment(endedAt)}`;
  return [
    ['open', `${open} (${span(durationMs)})`],
    ['ended by', closedFirst && FIRST[closedFirst]],
    ['close sent', close(closeSent)],
    ['close received', close(closeReceived)],
    ['error', one.error],
    ['answer', one.status && `status ${one.status}`],
    ['lag', one.behindMs === undefined ? undefined : `${span(one.behindMs)} behind in a log`],
    ['unsent', one.unsentBytes > 0 ? bytes(one.unsentBytes) : undefined],
    ['in', flight && way(flight.received)],
    ['out', flight && way(flight.sent)],
    ['pings', flight?.roundTripsMs.length ? `${flight.roundTripsMs.join(', ')} ms` : undefined],
    ['no pong', flight?.unansweredMs === undefined ? undefined : `for ${span(flight.unansweredMs)}`],
    ['tcp', tcp && `round trip ${(tcp.rttUs / 1000).toFixed(1)} ms, ${tcp.retransmitsInAll} segments sent again, ${tcp.unacked} not acknowledged`],
  ];
}

function frames({ flight, openedAt, durationMs }, isOpen) {
  const end = openedAt + durationMs;
  const row = ({ at, sent, opcode, length, frames: count, compressed, fin }) => {
    const more = [count > 1 ? `${count} frames` : '', compressed ? 'compressed' : '', fin ? '' : 'more follows'];
    const cells = [((end - at) / 1000).toFixed(3), sent ? 'out' : 'in', opcode, String(length), more.filter(Boolean).join(', ')];
    return el('tr', {}, ...cells.map((text, index) => el('td', { class: index === 0 || index === 3 ? 'number' : false }, text)));
  };
  const heads = ['seconds before', 'way', 'frame', 'bytes', ''].map((text, index) => (text ? el('th', { scope: 'col', class: index === 0 || index === 3 ? 'number' : false }, text) : el('td', {})));
  const table = el('table', {}, el('thead', {}, el('tr', {}, ...heads)), el('tbody', {}, ...flight.frames.map(row)));
  const scroll = el('div', { class: 'frames', tabindex: '0', role: 'region', 'aria-label': 'Frames' }, table);
  return el('details', { open: isOpen }, el('summary', {}, `The last ${flight.frames.length} frames`), scroll);
}
