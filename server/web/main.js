// The entry of the chat page: the form for name and room, the address that remembers both, and the way in and out of a
// session. Name and rooms in the address, `/?name=Ada&room=lobby&room=kitchen`, go straight in, the first room in front;
// a shared link holds one room alone.

import { $ } from './dom.js';
import { nameProblem, roomProblem } from './format.js';
import { Session } from './session.js';
import { toast } from './toast.js';
import { currentToken, setToken, userOfToken, whyRefused } from './token.js';

const ROOM_DEFAULT = 'lobby';
const NAME_KEY = 'tidewire.name';
/** The server takes 128 rooms a connection. */
const ROOMS_MAX = 128;
/** The server takes request lines of 8 KiB, proxies often no more. */
const ADDRESS_CHARS_MAX = 6_000;

let session = null;
/** The rooms of the address that is on the screen; the form shows the first. */
let rooms = [];
/** The query that is on the screen. */
let shown = null;

$('join').addEventListener('submit', (event) => {
  event.preventDefault();
  enterFromForm();
});
$('leave').addEventListener('click', () => leave());
// A jump within the page, as by the skip link, is no way to another room.
window.addEventListener('popstate', () => location.search !== shown && start());
start();

function start() {
  shown = location.search;
  const query = new URLSearchParams(shown);
  rooms = [...new Set(query.getAll('room').map((room) => room.trim()))].slice(0, ROOMS_MAX);
  $('name').value = query.get('name') ?? recalledName();
  $('room').value = rooms[0] ?? ROOM_DEFAULT;
  if (query.get('name') && rooms.length > 0) enterFromForm();
  else showForm('');
}

function enterFromForm() {
  // An empty field keeps the token that there is.
  const typed = $('token').value.trim();
  $('token').value = '';
  if (typed !== '') setToken(typed);
  const name = userOfToken() ?? $('name').value.trim();
  $('name').value = name;
  const wanted = $('room').value.trim();
  const problem = nameProblem(name) ?? roomProblem(wanted);
  if (problem !== null) {
    showForm(problem, nameProblem(name) === null ? 'room' : 'name');
    return;
  }
  // Who was shown several rooms and names another one means that alone.
  enter(name, wanted === rooms[0] ? rooms.filter((room) => roomProblem(room) === null) : [wanted]);
}

function enter(name, wanted) {
  session?.close();
  rooms = wanted;
  rememberName(name);
  remember(name);
  $('join-error').textContent = '';
  $('welcome').hidden = true;
  $('chat').hidden = false;
  session = new Session(name, rooms, {
    refused: (sentence) => leave(sentence),
    unauthorized: (sentence) => askForToken(sentence),
    failed: () => findOutWhy(),
    left: () => leave(),
    changed: (open) => follow(name, open),
    copyLink,
  });
}

function leave(sentence = '') {
  remember(null);
  showForm(sentence, sentence === '' ? 'name' : 'room');
}

/** Perhaps it is the token that keeps us out. */
async function findOutWhy() {
  const failed = session;
  const sentence = await whyRefused();
  if (sentence !== null && session === failed) askForToken(sentence);
}

function askForToken(sentence) {
  $('token-field').hidden = false;
  $('token').value = '';
  remember(null);
  showForm(sentence, 'token');
}

function showForm(problem, focus = $('name').value === '' ? 'name' : 'enter') {
  session?.close();
  session = null;
  document.title = 'Tidewire';
  $('chat').hidden = true;
  $('welcome').hidden = false;
  $('room').value = rooms[0] ?? ROOM_DEFAULT;
  // Who has one may want to show another.
  if (currentToken() !== '') $('token-field').hidden = false;
  $('join-error').textContent = problem;
  for (const id of ['name', 'room', 'token']) $(id).setAttribute('aria-invalid', String(problem !== '' && id === focus));
  $(focus).focus();
}

/** The query for the open rooms, with a name for who is in them. */
function queryOf(name) {
  const query = new URLSearchParams(name === null ? [] : [['name', name]]);
  for (const room of rooms) {
    const longer = new URLSearchParams(query);
    longer.append('room', room);
    // The server refuses longer addresses, and this one will be reloaded.
    if (String(longer).length > ADDRESS_CHARS_MAX) break;
    query.append('room', room);
  }
  return `?${query}`;
}

/** Puts name and rooms into the address, unless they are there already. */
function remember(name) {
  shown = queryOf(name);
  if (shown !== location.search) history.pushState(null, '', location.pathname + shown);
}

/** Other rooms are open: the address says so, but the way back leads out of the chat, not through every room. */
function follow(name, open) {
  rooms = open;
  shown = queryOf(name);
  if (shown !== location.search) history.replaceState(null, '', location.pathname + shown);
}

async function copyLink(room) {
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
