// One stay in the chat: ties the client, the state and the columns together. What the server says changes the state, what
// the user does goes to the client, and after either the page is drawn again. It ends with `close()`.

import { connect } from '/client.js';
import { outbox } from '/client/outbox.js';
import { Delivery } from './delivery.js';
import { $ } from './dom.js';
import { Drawer } from './drawer.js';
import * as entries from './entries.js';
import { plural, roomProblem, visible } from './format.js';
import { Panes } from './panes.js';
import { findPrivate, loadOlder } from './scrollback.js';
import * as model from './state.js';
import { toast } from './toast.js';
import { currentToken } from './token.js';
import { drawConnection, drawSidebar } from './view.js';

/** Drawing waits this long, so that a burst of messages is drawn once. Not an animation frame: those stop in hidden tabs. */
const DRAW_MS = 16;
const TICK_MS = 1_000;
const CODE_TOKEN_EXPIRED = 4001;

/** Why a part of a log does not come, in the reader's words. */
const GAPS = {
  expired: 'not kept any more',
  damaged: 'unreadable on the server',
  forbidden: 'not for you to read',
  skipped: 'skipped, because they came faster than this page could read them',
};

export class Session {
  #state;
  #client;
  #delivery;
  #panes;
  #drawer;
  #page;
  #wasLive = false;
  #knowsPrivate = false;
  #drawing;
  #ticking;
  #ended = new AbortController();

  /**
   * `page` is told what goes beyond the stay: `refused(sentence)` when the server does not let us into our only room,
   * `unauthorized(sentence)` when it wants a token, `failed()` when it does not let us in without saying why,
   * `left()` when we leave it, `changed(rooms)` when other rooms are open, the one in front first, and `copyLink(room)`.
   */
  constructor(user, rooms, page) {
    const { signal } = this.#ended;
    this.#state = model.newState(user, rooms);
    this.#page = page;
    // A session of its own for every visit: tabs that shared one would replace each other.
    const unsent = outbox(`tidewire.${user}`);
    this.#client = connect('/ws', { user, rooms, outbox: unsent, token: currentToken() });
    this.#delivery = new Delivery(this.#client, this.#state, unsent, () => this.#draw());
    this.#panes = new Panes(this.#paneActions());
    this.#drawer = new Drawer(signal);
    this.#listenToClient(signal);
    this.#listenToUser(signal);
    this.#panes.open(model.frontOf(this.#state));
    this.#drawAll();
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
    this.#panes.active.focus();
  }

  close() {
    this.#ended.abort();
    clearInterval(this.#ticking);
    clearTimeout(this.#drawing);
    for (const conversation of this.#state.conversations.values()) this.#delivery.drop(conversation);
    this.#panes.removeAll();
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
    on('state', ({ state, code }) => this.#onState(state, code));
    on('welcome', ({ user }) => (this.#state.user = user));
    on('joined', (joined) => this.#onJoined(joined));
    on('system', (system) => this.#onSystem(system));
    on('typing', ({ roomId, user }) => this.#inRoom(roomId, (room) => model.startTyping(room, user, Date.now())));
    on('room_msg', (message) => this.#inRoom(message.roomId, (room) => this.#onRoomMessage(room, message)));
    on('private_msg', (message) => this.#onPrivate(message));
    on('broadcast', (message) => this.#receive(model.frontRoomOf(this.#state), '*', message, { announcement: true }));
    on('gap', (gap) => this.#onGap(gap));
    on('restored', (kept) => this.#delivery.restore(kept));
    on('delayed', () => this.#onDelay(true));
    on('ack', (ack) => this.#onAck(ack));
    on('error', (error) => this.#onError(error));
  }

  #onState(state, code) {
    // Who was in and is cut off has a good token, unless it has just ended.
    if (state === 'reconnecting' && (!this.#wasLive || code === CODE_TOKEN_EXPIRED)) this.#page.failed();
    if (state === 'live') this.#wasLive = true;
    else for (const room of model.roomsOf(this.#state)) room.typing.clear();
    // The next connection is perhaps to a server that can keep it.
    this.#onDelay(false);
  }

  #onAck(ack) {
    this.#delivery.answered(ack);
    this.#onDelay(false);
  }

  #onDelay(isDelayed) {
    this.#delivery.delay(isDelayed);
    this.#drawConnection();
  }

  #onJoined({ roomId, members }) {
    this.#inRoom(roomId, (room) => Object.assign(room, { members: new Set(members), barred: null }));
    // Once: after a reconnect the client reads on by itself.
    if (this.#knowsPrivate) return;
    this.#knowsPrivate = true;
    // Without it, the conversations begin when someone writes.
    findPrivate(this.#client, this.#state).catch(() => {}).then(() => this.#draw());
  }

  #onSystem({ roomId, event, user }) {
    this.#inRoom(roomId, (room) => {
      if (event === 'join') room.members.add(user);
      if (event === 'leave') room.members.delete(user);
      room.typing.delete(user);
      entries.note(room, Date.now(), { user, event });
    });
  }

  #onRoomMessage(room, message) {
    room.typing.delete(message.from);
    this.#receive(room, message.roomId, message);
  }

  #onPrivate(message) {
    const conversation = model.ensureConversation(this.#state, 'private', message.from);
    this.#receive(conversation, `@${this.#state.user}`, message);
  }

  #receive(conversation, log, message, extra = {}) {
    // Another connection of the same user also writes in our name.
    const mine = message.from === this.#state.user;
    const entry = entries.receive(conversation, log, message, { ...extra, mine });
    if (entry !== null && !mine && !this.#isSeen(conversation)) model.markUnread(conversation, entry);
    this.#trim(conversation);
  }

  #onGap({ roomId, reason, count }) {
    const room = model.roomNamed(this.#state, roomId);
    // The logs of announcements and of private messages have no place of their own.
    const kind = room !== undefined ? 'message' : roomId === '*' ? 'announcement' : 'private message';
    const conversation = room ?? model.frontRoomOf(this.#state);
    const what = `${count === null ? `Some ${kind}s` : plural(count, kind)} from while you were away`;
    const why = GAPS[reason] ?? 'not kept any more';
    entries.note(conversation, Date.now(), { text: `${what} ${count === 1 ? 'is' : 'are'} not shown here: ${why}.` });
  }

  #onError(error) {
    const { code, message, roomId } = error;
    if (code === 'unauthorized') {
      this.#page.unauthorized(message);
      return;
    }
    // Without an outbox, messages live as long as the page, which is as good as it gets.
    if (code === 'outbox_failed' || this.#delivery.answered(error)) return;
    const room = model.roomNamed(this.#state, roomId);
    if (room !== undefined) this.#refused(room, error);
    else if (code !== 'forbidden' || !this.#findBarred(error)) toast(message);
  }

  /**
   * Of the rooms in the address the server does not say which one a refusal is for: those that it may be for are joined again.
   * Returns whether it was for one of them. A stream of events does not even begin without that right, and cannot ask.
   */
  #findBarred(error) {
    const waiting = model.roomsOf(this.#state).filter(({ members, barred }) => members.size === 0 && barred === null);
    if (this.#client.state !== 'live') {
      if (waiting.length === 1) this.#refused(waiting[0], error);
      return waiting.length === 1;
    }
    const named = waiting.filter(({ name }) => error.message.includes(JSON.stringify(name)));
    for (const room of named.length > 0 ? named : waiting) this.#joinRoom(room);
    return waiting.length > 0;
  }

  #joinRoom(room) {
    this.#client.join(room.name).catch((error) => this.#notLetIn(room, error));
  }

  /** Leaving a room, or everything, is no refusal. */
  #notLetIn(room, error) {
    if (model.roomNamed(this.#state, room.name) !== room || this.#ended.signal.aborted) return;
    this.#refused(room, error);
    this.#draw();
  }

  #refused(room, { code, message: sentence }) {
    if (code === 'forbidden') {
      // As long as we show the same token: the next connection need not ask.
      this.#client.leave(room.name).catch(() => {});
      room.barred = sentence;
      return;
    }
    if (model.roomsOf(this.#state).length === 1) {
      this.#page.refused(sentence);
      return;
    }
    toast(`You are not in ${visible(room.name)}. ${sentence}`);
    this.#forget(room);
  }

  #inRoom(roomId, change) {
    const room = model.roomNamed(this.#state, roomId);
    if (room !== undefined) change(room);
  }

  // From the user.

  #listenToUser(signal) {
    const on = (target, type, handle) => target.addEventListener(type, handle, { signal });
    on($('sidebar'), 'click', (event) => this.#onSidebar(event.target.closest('button')?.dataset ?? {}));
    on($('join-room'), 'submit', (event) => this.#onJoinForm(event));
    on($('reconnect'), 'click', () => this.#client.reconnect());
    on(document, 'visibilitychange', () => this.#seeAll());
    on(window, 'focus', () => this.#seeAll());
    // A file that misses its column must not take the page's place. Text may be dropped as ever.
    const isFile = ({ dataTransfer }) => dataTransfer.types.includes('Files');
    for (const type of ['dragover', 'drop']) on(window, type, (event) => isFile(event) && event.preventDefault());
  }

  #onSidebar({ conversation, private: user, beside, leave }) {
    const { conversations } = this.#state;
    if (conversation !== undefined) this.#open(conversations.get(conversation));
    if (user !== undefined) this.#open(model.ensureConversation(this.#state, 'private', user));
    if (beside !== undefined) this.#openBeside(conversations.get(beside));
    if (leave !== undefined) this.#leave(conversations.get(leave));
  }

  #onJoinForm(event) {
    event.preventDefault();
    const field = $('room-more');
    const name = field.value.trim();
    const problem = roomProblem(name);
    $('join-room-error').textContent = problem ?? '';
    field.setAttribute('aria-invalid', String(problem !== null));
    if (problem !== null) return;
    field.value = '';
    this.#join(name);
  }

  #join(name) {
    const isNew = model.roomNamed(this.#state, name) === undefined;
    const room = model.ensureConversation(this.#state, 'room', name);
    this.#open(room);
    if (!isNew) return;
    this.#joinRoom(room);
  }

  #open(conversation) {
    this.#drawer.close();
    this.#panes.open(conversation);
    this.#used(this.#panes.active);
    this.#panes.active.focus();
  }

  #openBeside(conversation) {
    this.#panes.openBeside(conversation);
    this.#used(this.#panes.active);
    this.#panes.active.focus();
  }

  #leave(conversation) {
    if (conversation.kind === 'room') {
      if (model.roomsOf(this.#state).length === 1) {
        this.#page.left();
        return;
      }
      // Whatever the server says, we are not there any more.
      this.#client.leave(conversation.name).catch(() => {});
    }
    this.#forget(conversation);
  }

  #forget(conversation) {
    this.#delivery.drop(conversation);
    model.forget(this.#state, conversation);
    const pane = this.#panes.showing(conversation);
    if (pane !== undefined && this.#panes.all.length > 1) this.#panes.close(pane);
    else if (pane !== undefined) pane.open(model.frontRoomOf(this.#state));
    this.#used(this.#panes.active);
    // What had the focus is gone with its line.
    this.#panes.active.focus();
  }

  /** A column was used: what it shows is in front now. */
  #used(pane) {
    this.#panes.activate(pane);
    model.bringToFront(this.#state, pane.conversation);
    this.#see(pane);
    const first = model.frontRoomOf(this.#state);
    const others = model.roomsOf(this.#state).filter((room) => room !== first);
    this.#page.changed([first, ...others].map(({ name }) => name));
    // At once: heading and messages belong together.
    this.#drawAll();
  }

  #paneActions() {
    const upload = (handle) => ({ conversation }, value) => handle(conversation, value);
    return {
      used: (pane) => pane !== this.#panes.active && this.#used(pane),
      close: (pane) => this.#closePane(pane),
      copyLink: ({ conversation }) => this.#page.copyLink(conversation.name),
      send: (pane) => this.#send(pane),
      typing: ({ conversation: { kind, name } }) => kind === 'room' && this.#client.typing(name),
      attach: upload((conversation, files) => this.#delivery.attach(conversation, files)),
      remove: upload((conversation, file) => this.#delivery.remove(conversation, file)),
      retryUpload: (pane, file) => file.start(),
      retry: (pane, entry) => this.#afterFailure(pane, () => this.#delivery.again(pane.conversation, entry)),
      discard: (pane, entry) => this.#afterFailure(pane, () => this.#delivery.discard(pane.conversation, entry)),
      older: ({ conversation }) => this.#loadOlder(conversation),
      reachedEnd: (pane) => this.#see(pane),
    };
  }

  #closePane(pane) {
    this.#panes.close(pane);
    this.#used(this.#panes.active);
    this.#panes.active.focus();
  }

  #send(pane) {
    pane.conversation.newFrom = null;
    pane.toEnd();
    this.#delivery.submit(pane.conversation);
  }

  /** The button that was used is gone; the message box is where one goes on. */
  #afterFailure(pane, act) {
    act();
    this.#draw();
    pane.focus();
  }

  async #loadOlder(conversation) {
    const { kind, members, older } = conversation;
    if (older === 'loading' || this.#client.state !== 'live') return;
    // What is said while we join would be missing, were history read before.
    if (kind === 'room' && members.size === 0) return;
    this.#draw();
    await loadOlder(this.#client, this.#state.user, conversation);
    this.#trim(conversation);
    this.#draw();
  }

  // What has been seen.

  #isSeen(conversation) {
    const pane = this.#panes.showing(conversation);
    return pane !== undefined && pane.showsEnd && document.visibilityState === 'visible';
  }

  #seeAll() {
    for (const pane of this.#panes.all) this.#see(pane);
  }

  #see({ conversation }) {
    if (!this.#isSeen(conversation)) return;
    const isTrimmed = this.#trim(conversation);
    if (conversation.unread === 0 && !isTrimmed) return;
    conversation.unread = 0;
    this.#draw();
  }

  #trim(conversation) {
    return entries.trim(conversation, this.#panes.showing(conversation)?.isScrolledUp ?? false);
  }

  // Drawing.

  #draw() {
    if (this.#ended.signal.aborted) return;
    this.#drawing ??= setTimeout(() => this.#drawAll(), DRAW_MS);
  }

  #drawAll() {
    clearTimeout(this.#drawing);
    this.#drawing = undefined;
    drawSidebar(this.#state, this.#panes);
    for (const pane of this.#panes.all) pane.draw(this.#state, this.#panes.all.length === 1);
    this.#drawConnection();
  }

  #tick() {
    for (const pane of this.#panes.all) pane.drawTyping();
    this.#drawConnection();
  }

  #drawConnection() {
    drawConnection(this.#client, this.#wasLive, this.#delivery.isDelayed);
  }
}
