// A room that is watched: an event stream beside its members, who do not hear of it.

import { $, el, nameOf, setWords } from '../dom.js';
import { credentials } from './api.js';
import { follow } from './stream.js';
import { time } from './units.js';

const LINES_KEPT = 200;

/** Ends the stream of the room that is watched. */
let unfollow = () => {};

export function mount() {
  $('watched-stop').addEventListener('click', stop);
}

/** Shows what is said in a room from now on. */
export function watch(room) {
  unfollow();
  setWords($('watched-title'), ['Watching ', { name: room }]);
  $('watched-log').replaceChildren();
  $('watched').hidden = false;
  const query = new URLSearchParams({ room });
  unfollow = follow(`/sse?${query}`, credentials(), {
    open: () => line(Date.now(), 'watching', ''),
    refused: (why) => line(Date.now(), '', `the server does not let us: ${why}`),
    message: (data) => {
      const { from, content, time: at } = JSON.parse(data);
      line(at ?? Date.now(), from ?? '', typeof content === 'string' ? content : JSON.stringify(content));
    },
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
  unfollow();
  $('watched').hidden = true;
}
