// The entry of the chat page: the form for name and room, the address that remembers both, and the way in and out of a
// session. Name and room in the address, `/?name=Ada&room=lobby`, go straight in; a shared link holds the room alone.

import { $ } from './dom.js';
import { nameProblem, roomProblem } from './format.js';
import { Session } from './session.js';
import { toast } from './toast.js';

const ROOM_DEFAULT = 'lobby';
const NAME_KEY = 'tidewire.name';

let session = null;
let room = null;
/** The query that is on the screen. */
let shown = null;

$('join').addEventListener('submit', (event) => {
  event.preventDefault();
  enterFromForm();
});
$('leave').addEventListener('click', () => leave());
$('copy-link').addEventListener('click', () => copyLink());
// A jump within the page, as by the skip link, is no way to another room.
window.addEventListener('popstate', () => location.search !== shown && start());
start();

function start() {
  shown = location.search;
  const query = new URLSearchParams(shown);
  $('name').value = query.get('name') ?? recalledName();
  $('room').value = query.get('room') ?? ROOM_DEFAULT;
  if (query.get('name') && query.get('room')) enterFromForm();
  else showForm('');
}

function enterFromForm() {
  const name = $('name').value.trim();
  const wanted = $('room').value.trim();
  const problem = nameProblem(name) ?? roomProblem(wanted);
  if (problem !== null) {
    showForm(problem, nameProblem(name) === null ? 'room' : 'name');
    return;
  }
  enter(name, wanted);
}

function enter(name, wanted) {
  session?.close();
  room = wanted;
  rememberName(name);
  remember({ name, room });
  $('join-error').textContent = '';
  $('welcome').hidden = true;
  $('chat').hidden = false;
  session = new Session(name, room, (sentence) => leave(sentence));
}

function leave(sentence = '') {
  remember({ room });
  showForm(sentence, sentence === '' ? 'name' : 'room');
}

function showForm(problem, focus = $('name').value === '' ? 'name' : 'enter') {
  session?.close();
  session = null;
  document.title = 'Tidewire';
  $('chat').hidden = true;
  $('welcome').hidden = false;
  $('join-error').textContent = problem;
  for (const id of ['name', 'room']) $(id).setAttribute('aria-invalid', String(problem !== '' && id === focus));
  $(focus).focus();
}

/** Puts name and room into the address, unless they are there already. */
function remember(values) {
  shown = `?${new URLSearchParams(values)}`;
  if (shown !== location.search) history.pushState(null, '', location.pathname + shown);
}

async function copyLink() {
  const link = `${location.origin}${location.pathname}?${new URLSearchParams({ room })}`;
  try {
    await navigator.clipboard.writeText(link);
    toast('Link copied. Whoever opens it comes into this room.');
  } catch {
    // A page over plain http has no clipboard, and a reader may forbid it.
    toast(`The link to this room: ${link}`);
  }
}

/** The name of the last visit; storage may be forbidden, and then there is none. */
function recalledName() {
  try {
    return localStorage.getItem(NAME_KEY) ?? '';
  } catch {
    return '';
  }
}

function rememberName(name) {
  try {
    localStorage.setItem(NAME_KEY, name);
  } catch {
    // Then it has to be typed again.
  }
}
