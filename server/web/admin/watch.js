// A room that is watched: an event stream beside its members, who do not hear of it.

import { $, el, nameOf, setText } from '../dom.js';
import { token } from './api.js';
import { time } from './units.js';

const LINES_KEPT = 200;

let stream;

export function mount() {
  $('watched-stop').addEventListener('click', stop);
}

/** Shows what is said in a room from now on. */
export function watch(room) {
  stream?.close();
  setText($('watched-title'), `Watching ${room}`);
  $('watched-log').replaceChildren();
  $('watched').hidden = false;
  const query = new URLSearchParams({ room });
  if (token.get()) query.set('token', token.get());
  stream = new EventSource(`/sse?${query}`);
  stream.addEventListener('open', () => line(Date.now(), 'watching', ''));
  stream.addEventListener('error', ({ target }) => {
    if (target.readyState === EventSource.CLOSED) line(Date.now(), '', 'the server does not let us: the token has to have the right to read this room');
  });
  stream.addEventListener('message', ({ data }) => {
    const { from, content, time: at } = JSON.parse(data);
    line(at ?? Date.now(), from ?? '', typeof content === 'string' ? content : JSON.stringify(content));
  });
  $('watched').scrollIntoView({ block: 'nearest' });
}

function line(at, from, text) {
  const log = $('watched-log');
  const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  log.append(el('p', {}, el('time', {}, time(at)), el('b', {}, nameOf(from)), text));
  while (log.children.length > LINES_KEPT) log.firstChild.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

function stop() {
  stream?.close();
  stream = undefined;
  $('watched').hidden = true;
}
