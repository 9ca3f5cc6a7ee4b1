// One stay in a room: ties the client, the state and the view together. What the server says changes the state, what the
// user does goes to the client, and after either the page is drawn again. It ends with `close()`.

import { connect } from '/client.js';
import { Composer } from './composer.js';
import { $ } from './dom.js';
import { Drawer } from './drawer.js';
import { plural } from './format.js';
import { MessageList } from './log.js';
import * as model from './state.js';
import { toast } from './toast.js';
import { drawEmpty, drawHeading, drawSidebar, drawStatus } from './view.js';

/** Drawing waits this long, so that a burst of messages is drawn once. Not an animation frame: those stop in hidden tabs. */
const DRAW_MS = 16;
const TICK_MS = 1_000;
/** What was said in the room before we came. */
const HISTORY_SHOWN = 50;

export class Session {
  #state;
  #client;
  #list;
  #composer;
  #drawer;
  #onRefused;
  #wasLive = false;
  #hasHistory = false;
  #drawing;
  #ticking;
  #ended = new AbortController();

  /** `onRefused(sentence)` is called when the server does not let us into the room. */
  constructor(user, room, onRefused) {
    const { signal } = this.#ended;
    this.#state = model.newState(user, room);
    this.#onRefused = onRefused;
    this.#list = new MessageList({ log: $('log'), jump: $('jump'), jumpText: $('jump-text') }, this.#listActions(), signal);
    this.#composer = new Composer((text) => this.#send(text), () => this.#typing(), signal);
    this.#drawer = new Drawer(signal);
    // A session of its own for every visit: tabs that shared one would replace each other.
    this.#client = connect('/ws', { user, rooms: [room] });
    this.#listenToClient(signal);
    this.#listenToUser(signal);
    this.#list.open(model.openConversation(this.#state));
    this.#drawAll();
    this.#ticking = setInterval(() => this.#drawStatus(), TICK_MS);
    this.#composer.focus();
  }

  close() {
    this.#ended.abort();
    clearInterval(this.#ticking);
    clearTimeout(this.#drawing);
    this.#client.close();
  }

  // From the server.

  #listenToClient(signal) {
    const on = (type, handle) => {
      const listener = ({ detail }) => {
        handle(detail);
        this.#draw();
      };
      this.#client.addEventListener(type, listener, { signal });
    };
    on('state', ({ state }) => this.#onState(state));
    on('welcome', ({ user }) => (this.#state.user = user));
    on('joined', (joined) => this.#onJoined(joined));
    on('system', (system) => this.#onSystem(system));
    on('typing', ({ user }) => model.startTyping(this.#state, user, Date.now()));
    on('room_msg', (message) => this.#onRoomMessage(message));
    on('private_msg', (message) => this.#onPrivate(message));
    on('broadcast', (message) => this.#onBroadcast(message));
    on('gap', ({ count }) => this.#onMissed(count));
    on('error', (error) => this.#onError(error));
  }

  #onState(state) {
    if (state === 'live') this.#wasLive = true;
    else this.#state.typing.clear();
    this.#drawStatus();
  }

  #onJoined({ roomId, members }) {
    if (roomId !== this.#state.room) return;
    this.#state.members = new Set(members);
    if (!this.#hasHistory) this.#showHistory();
  }

  /** Once: after a reconnect the client reads on by itself. */
  async #showHistory() {
    this.#hasHistory = true;
    const { messages } = await this.#client.history(this.#state.room, { limit: HISTORY_SHOWN }).catch(() => ({ messages: [] }));
    for (const message of messages) {
      model.receive(this.#room, this.#room.id, message, { mine: message.from === this.#state.user });
    }
    this.#draw();
  }

  #onSystem({ roomId, event, user }) {
    if (roomId !== this.#state.room) return;
    if (event === 'join') this.#state.members.add(user);
    if (event === 'leave') this.#state.members.delete(user);
    this.#state.typing.delete(user);
    model.note(this.#room, Date.now(), { user, event });
  }

  #onRoomMessage(message) {
    if (message.roomId !== this.#state.room) return;
    this.#state.typing.delete(message.from);
    this.#receive(this.#room, this.#room.id, message);
  }

  #onPrivate(message) {
    const conversation = model.privateConversation(this.#state, message.from);
    this.#receive(conversation, `@${this.#state.user}`, message);
  }

  #onBroadcast(message) {
    this.#receive(this.#room, '*', message, { announcement: true });
  }

  #receive(conversation, log, message, extra = {}) {
    // Another connection of the same user also writes in our name.
    const mine = message.from === this.#state.user;
    const entry = model.receive(conversation, log, message, { ...extra, mine });
    if (entry !== null && !mine && !this.#isSeen(conversation)) conversation.unread += 1;
  }

  #onMissed(count) {
    const what = count === null ? 'What was said while you were away' : `${plural(count, 'message')} from while you were away`;
    const verb = count === null || count === 1 ? 'is' : 'are';
    model.note(this.#room, Date.now(), { text: `${what} ${verb} not shown here.` });
  }

  #onError({ message, roomId }) {
    if (roomId === this.#state.room) this.#onRefused(message);
    else toast(message);
  }

  // From the user.

  #listenToUser(signal) {
    const on = (target, type, handle) => target.addEventListener(type, handle, { signal });
    on($('sidebar'), 'click', (event) => this.#onSidebar(event.target.closest('button')));
    on($('reconnect'), 'click', () => this.#client.reconnect());
    on(document, 'visibilitychange', () => this.#see());
    on(window, 'focus', () => this.#see());
  }

  #onSidebar(button) {
    if (button?.dataset.conversation !== undefined) this.#open(button.dataset.conversation);
    if (button?.dataset.private !== undefined) {
      this.#open(model.privateConversation(this.#state, button.dataset.private).id);
    }
  }

  #open(id) {
    model.openConversation(this.#state).draft = this.#composer.text;
    this.#state.open = id;
    const conversation = model.openConversation(this.#state);
    conversation.unread = 0;
    this.#composer.text = conversation.draft;
    this.#drawer.close();
    this.#list.open(conversation);
    this.#drawAll();
    this.#composer.focus();
  }

  #send(text) {
    const conversation = model.openConversation(this.#state);
    const entry = model.compose(conversation, this.#state.user, text, Date.now());
    this.#list.toEnd();
    this.#deliver(conversation, entry);
  }

  async #deliver(conversation, entry) {
    this.#draw();
    try {
      const ack = await this.#transmit(conversation, entry.content);
      model.keep(conversation, entry, conversation.id, ack);
    } catch (error) {
      model.fail(entry, error.message);
    }
    this.#draw();
  }

  #transmit({ kind, name }, content) {
    return kind === 'room' ? this.#client.send(name, content) : this.#client.private(name, content);
  }

  #typing() {
    const { kind, name } = model.openConversation(this.#state);
    if (kind === 'room') this.#client.typing(name);
  }

  #listActions() {
    return {
      retry: (entry) => {
        const conversation = model.openConversation(this.#state);
        model.again(conversation, entry, Date.now());
        this.#deliver(conversation, entry);
        this.#composer.focus();
      },
      discard: (entry) => {
        model.remove(model.openConversation(this.#state), entry);
        this.#draw();
        this.#composer.focus();
      },
      reachedEnd: () => this.#see(),
    };
  }

  // What has been seen.

  get #room() {
    return model.roomConversation(this.#state);
  }

  #isSeen(conversation) {
    const isOpen = conversation.id === this.#state.open;
    return isOpen && this.#list.atEnd && document.visibilityState === 'visible';
  }

  #see() {
    const conversation = model.openConversation(this.#state);
    if (conversation.unread === 0 || !this.#isSeen(conversation)) return;
    conversation.unread = 0;
    this.#draw();
  }

  // Drawing.

  #draw() {
    if (this.#ended.signal.aborted) return;
    this.#drawing ??= setTimeout(() => this.#drawAll(), DRAW_MS);
  }

  #drawAll() {
    clearTimeout(this.#drawing);
    this.#drawing = undefined;
    drawSidebar(this.#state);
    drawHeading(this.#state);
    drawEmpty(this.#state);
    this.#list.draw();
    this.#drawStatus();
  }

  #drawStatus() {
    drawStatus(this.#state, this.#client, this.#wasLive);
  }
}
