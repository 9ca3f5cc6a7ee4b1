// Draws everything around the columns: the sidebar, the title of the page, and the state of the connection. Each function
// brings one part of the page up to date with the state; none keeps a state of its own.

import { $, avatar, el, icon, nameOf, reconcile, setAttribute, setText, setWords } from './dom.js';
import { plural, visible } from './format.js';
import { frontOf, frontRoomOf, privatesOf, roomsOf, sharedRoom, unreadTotal } from './state.js';

const STATES = {
  connecting: 'Connecting…',
  live: 'Live',
  reconnecting: 'Reconnecting…',
  replaced: 'Opened elsewhere',
  closed: 'Closed',
};

/** We are connected, and the server has lost what keeps the messages. */
const DELAYED = 'The server cannot keep messages at the moment. What you write is sent as soon as it can.';

/** How messages travel: the name of it, and what it means. */
const TRANSPORTS = {
  websocket: ['WebSocket', 'One connection carries messages both ways, as soon as they are there.'],
  sse: ['Event stream', 'No WebSocket got through to the server. Messages come in one stream of events, and go out as requests.'],
  poll: ['Polling', 'Neither a WebSocket nor a stream of events got through. The page asks for messages again and again; they come a little later.'],
};

/** `panes` says which conversations are on the screen. */
export function drawSidebar(state, panes) {
  const privates = privatesOf(state);
  drawConversations($('rooms'), roomsOf(state), state, panes);
  drawConversations($('private'), privates, state, panes);
  $('private-section').hidden = privates.length === 0;
  drawPeople(state);
  setText($('me'), state.user);
  drawUnread(state);
}

function drawUnread(state) {
  const unread = unreadTotal(state);
  const front = frontOf(state);
  const elsewhere = unread - front.unread;
  for (const dot of document.querySelectorAll('.menu .dot')) dot.hidden = elsewhere === 0;
  const label = elsewhere === 0 ? 'Open the menu' : `Open the menu, ${plural(elsewhere, 'unread message')}`;
  for (const menu of document.querySelectorAll('.menu')) setAttribute(menu, 'aria-label', label);
  document.title = `${unread > 0 ? `(${unread}) ` : ''}${visible(front.name)} · Tidewire`;
}

function drawConversations(list, conversations, state, panes) {
  const update = (item, conversation) => {
    const { id, name, unread } = conversation;
    const button = item.firstChild;
    const shown = panes.showing(conversation) !== undefined;
    setAttribute(button, 'aria-current', id === state.front ? 'true' : null);
    setAttribute(item, 'data-shown', shown);
    setAttribute(button, 'data-here', sharedRoom(state, name) !== undefined);
    button.querySelector('.unread')?.parentNode.remove();
    if (unread > 0) button.append(badge(unread));
    item.querySelector('[data-beside]').hidden = shown || panes.isFull;
  };
  reconcile(list, conversations, ({ id }) => id, createConversation, update);
}

function createConversation({ id, kind, name }) {
  const shown = visible(name);
  const mark = kind === 'room' ? el('span', { class: 'hash' }, icon('hash')) : avatar(name);
  const open = el('button', { type: 'button', 'data-conversation': id }, mark, el('span', { class: 'name' }, nameOf(name)));
  const leaving = kind === 'room' ? `Leave ${shown}` : `Close the conversation with ${shown}`;
  const actions = [
    el('button', { type: 'button', class: 'icon-button', 'data-beside': id, 'aria-label': `Open ${shown} beside`, title: 'Open beside' }, icon('beside')),
    el('button', { type: 'button', class: 'icon-button', 'data-leave': id, 'aria-label': leaving, title: leaving }, icon('close')),
  ];
  return el('li', {}, open, el('span', { class: 'actions' }, ...actions));
}

function badge(unread) {
  const count = el('span', { class: 'unread' }, unread > 99 ? '99+' : String(unread));
  return el('span', { class: 'badge' }, count, el('span', { class: 'hidden' }, ' unread'));
}

function drawPeople(state) {
  const { members, name } = frontRoomOf(state);
  const byName = (a, b) => (b === state.user) - (a === state.user) || a.localeCompare(b);
  const people = [...members].sort(byName);
  reconcile($('people'), people, (user) => user, (user) => person(user, user === state.user), () => {});
  setWords($('people-where'), roomsOf(state).length > 1 ? ['People in ', { name }] : ['People here']);
  setText($('people-count'), people.length > 0 ? ` · ${people.length}` : '');
  $('alone').hidden = people.length !== 1;
}

function person(user, isMe) {
  const name = el('span', { class: 'name' }, nameOf(user));
  if (isMe) return el('li', { 'data-user': user }, el('span', { class: 'person' }, avatar(user), name, el('span', { class: 'you' }, 'you')));
  const hint = el('span', { class: 'hidden' }, ', write privately');
  const button = el('button', { type: 'button', 'data-private': user, title: `Write to ${visible(user)} privately` }, avatar(user), name, hint);
  return el('li', { 'data-user': user }, button);
}

/** Draws what changes by the clock: the state of the connection with its countdown, how fast it is, and what is wrong. */
export function drawConnection({ state, retryAt, transport, latency }, wasLive, isDelayed) {
  const badge = $('state');
  badge.dataset.state = state;
  setText(badge, STATES[state]);
  drawTransport(state === 'live' ? transport : null, latency);
  const text = isDelayed ? DELAYED : bannerText(state, retryAt, wasLive);
  $('banner').hidden = text === null;
  setText($('banner-text'), text ?? '');
  setText($('reconnect'), state === 'replaced' ? 'Use it here' : 'Connect now');
  $('reconnect').hidden = isDelayed || (state === 'reconnecting' && retryAt === null);
}

function drawTransport(transport, latency) {
  const button = $('transport');
  // What explains the connection stays open while it is lost, so it is not hidden with its button.
  button.hidden = transport === null;
  if (transport === null) return;
  const [name, meaning] = TRANSPORTS[transport];
  const delay = latency === null ? '' : `${Math.round(latency)} ms`;
  button.dataset.transport = transport;
  setAttribute(button, 'data-latency', latency === null ? null : Math.round(latency));
  setText($('transport-text'), delay === '' ? name : `${name} · ${delay}`);
  setAttribute(button, 'title', `${meaning}${delay === '' ? '' : ` The server answered after ${delay}.`}`);
  setText($('connection-title'), name);
  setText($('connection-text'), meaning);
  setText($('connection-latency'), delay === '' ? '' : `The server’s last answer took ${delay}.`);
}

function bannerText(state, retryAt, wasLive) {
  if (state === 'replaced') return 'This chat was opened in another place with the same session.';
  if (state !== 'reconnecting') return null;
  const what = wasLive ? 'The connection was lost.' : 'The server cannot be reached.';
  return `${what} ${attempt(retryAt)}`;
}

function attempt(retryAt) {
  if (retryAt === null) return 'Trying again…';
  const seconds = Math.ceil((retryAt - Date.now()) / 1000);
  return seconds > 0 ? `Trying again in ${seconds} s.` : 'Trying again…';
}
