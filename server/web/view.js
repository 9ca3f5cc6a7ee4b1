// Draws everything around the message list: sidebar, heading, state of the connection, typing, empty conversation. Each
// function brings one part of the page up to date with the state; none keeps a state of its own.

import { $, avatar, el, icon, nameOf, reconcile, setAttribute, setText } from './dom.js';
import { plural } from './format.js';
import { openConversation, roomConversation, unreadTotal, whoIsTyping } from './state.js';

const STATES = {
  connecting: 'Connecting…',
  live: 'Live',
  reconnecting: 'Reconnecting…',
  replaced: 'Opened elsewhere',
  closed: 'Closed',
};

export function drawSidebar(state) {
  const conversations = [...state.conversations.values()];
  const privates = conversations.filter(({ kind }) => kind === 'private');
  drawConversations($('rooms'), [roomConversation(state)], state);
  drawConversations($('private'), privates, state);
  $('private-section').hidden = privates.length === 0;
  drawPeople(state);
  setText($('me'), state.user);
  const unread = unreadTotal(state);
  const elsewhere = unread - openConversation(state).unread;
  $('menu-unread').hidden = elsewhere === 0;
  $('menu').setAttribute('aria-label', elsewhere === 0 ? 'Open the menu' : `Open the menu, ${plural(elsewhere, 'unread message')}`);
  document.title = `${unread > 0 ? `(${unread}) ` : ''}${state.room} · Tidewire`;
}

function drawConversations(list, conversations, state) {
  const create = (conversation) => {
    const mark = conversation.kind === 'room' ? el('span', { class: 'hash' }, icon('hash')) : avatar(conversation.name);
    const name = el('span', { class: 'name' }, nameOf(conversation.name));
    return el('li', {}, el('button', { type: 'button', 'data-conversation': conversation.id }, mark, name));
  };
  const update = (item, { id, name, unread }) => {
    const button = item.firstChild;
    setAttribute(button, 'aria-current', id === state.open ? 'true' : null);
    setAttribute(button, 'data-here', state.members.has(name));
    button.querySelector('.unread')?.parentNode.remove();
    if (unread > 0) button.append(badge(unread));
  };
  reconcile(list, conversations, ({ id }) => id, create, update);
}

function badge(unread) {
  const count = el('span', { class: 'unread' }, unread > 99 ? '99+' : String(unread));
  return el('span', { class: 'badge' }, count, el('span', { class: 'hidden' }, ' unread'));
}

function drawPeople(state) {
  const byName = (a, b) => (b === state.user) - (a === state.user) || a.localeCompare(b);
  const people = [...state.members].sort(byName);
  reconcile($('people'), people, (user) => user, (user) => person(user, user === state.user), () => {});
  setText($('people-title'), people.length > 0 ? `People here · ${people.length}` : 'People here');
  $('alone').hidden = people.length !== 1;
}

function person(user, isMe) {
  const name = el('span', { class: 'name' }, nameOf(user));
  if (isMe) return el('li', { 'data-user': user }, el('span', { class: 'person' }, avatar(user), name, el('span', { class: 'you' }, 'you')));
  const hint = el('span', { class: 'hidden' }, ', write privately');
  const button = el('button', { type: 'button', 'data-private': user, title: `Write to ${user} privately` }, avatar(user), name, hint);
  return el('li', { 'data-user': user }, button);
}

export function drawHeading(state) {
  const { id, kind, name } = openConversation(state);
  const mark = $('title-mark');
  if (mark.dataset.of !== id) {
    mark.dataset.of = id;
    mark.replaceChildren(kind === 'room' ? icon('hash') : avatar(name));
    $('title').replaceChildren(nameOf(name));
  }
  setText($('subtitle'), kind === 'room' ? roomSubtitle(state) : privateSubtitle(state, name));
  $('copy-link').hidden = kind !== 'room';
  $('composer').placeholder = kind === 'room' ? `Message everyone in ${name}` : `Message ${name} privately`;
}

function roomSubtitle({ members }) {
  if (members.size === 0) return 'Joining…';
  return members.size === 1 ? 'Only you are here' : `${members.size} people here`;
}

const privateSubtitle = (state, name) =>
  state.members.has(name) ? `Private, in ${state.room} now` : `Private, not in ${state.room} at the moment`;

export function drawEmpty(state) {
  const { id, kind, name, entries } = openConversation(state);
  const empty = $('empty');
  empty.hidden = entries.length > 0;
  if (empty.hidden || empty.dataset.of === id) return;
  empty.dataset.of = id;
  $('empty-mark').replaceChildren(kind === 'room' ? icon('hash') : avatar(name));
  $('empty-title').replaceChildren(...(kind === 'room' ? ['Welcome to ', nameOf(name)] : ['You and ', nameOf(name)]));
  setText(
    $('empty-text'),
    kind === 'room'
      ? 'Nothing has been said since you came. Say hello, or copy the link and invite someone.'
      : 'This is the beginning of your private conversation. Only the two of you can read it.',
  );
}

/** Draws what changes by the clock: the state of the connection with its countdown, and who is typing. */
export function drawStatus(state, { state: connection, retryAt }, wasLive) {
  const badge = $('state');
  badge.dataset.state = connection;
  setText(badge, STATES[connection]);
  const text = bannerText(connection, retryAt, wasLive);
  $('banner').hidden = text === null;
  setText($('banner-text'), text ?? '');
  setText($('reconnect'), connection === 'replaced' ? 'Use it here' : 'Connect now');
  $('reconnect').hidden = connection === 'reconnecting' && retryAt === null;
  drawTyping(state);
}

function bannerText(connection, retryAt, wasLive) {
  if (connection === 'replaced') return 'This chat was opened in another place with the same session.';
  if (connection !== 'reconnecting') return null;
  const what = wasLive ? 'The connection was lost.' : 'The server cannot be reached.';
  return `${what} ${attempt(retryAt)}`;
}

function attempt(retryAt) {
  if (retryAt === null) return 'Trying again…';
  const seconds = Math.ceil((retryAt - Date.now()) / 1000);
  return seconds > 0 ? `Trying again in ${seconds} s.` : 'Trying again…';
}

function drawTyping(state) {
  const typing = openConversation(state).kind === 'room' ? whoIsTyping(state, Date.now()) : [];
  const text = typingText(typing);
  if ($('typing').dataset.text === text) return;
  $('typing').dataset.text = text;
  $('typing').replaceChildren(...(text === '' ? [] : [el('span', { class: 'dots', 'aria-hidden': 'true' }, el('i'), el('i'), el('i')), text]));
}

function typingText(users) {
  if (users.length === 0) return '';
  if (users.length > 3) return 'Several people are typing…';
  const names = new Intl.ListFormat('en').format(users);
  return `${names} ${users.length === 1 ? 'is' : 'are'} typing…`;
}
