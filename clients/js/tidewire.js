// The Tidewire client for browsers and Node: one plain ES module, no dependencies, no build step. It keeps one chat
// connection alive (docs/PROTOCOL.md has the messages), sends what could not be sent yet, sends again what was not
// acknowledged, and reads on where it was: what was said meanwhile comes as if nothing had happened. It is not a store of
// messages: it remembers only how far it has read each room.
//
//     const client = connect('/ws', { user: 'Ada', rooms: ['lobby'] });
//     client.addEventListener('room_msg', (event) => console.log(event.detail.from, event.detail.content));
//     const { offset } = await client.send('lobby', 'hello');
//
// Every message of the server is dispatched as a CustomEvent of its `type` with the message as `detail`. Besides these:
// `state` (a `StateDetail`) on every change of the connection, and `missed` (a `MissedDetail`) when something of a room
// will not come, because it is not kept any more. `error` is only for errors that answer none of our promises.

/** @typedef {'connecting' | 'live' | 'reconnecting' | 'replaced' | 'closed'} State */

/** `retryAt`: when the next attempt starts (Unix ms); `code`: the close code that brought us here, if one did. */
/** @typedef {{ state: State, retryAt: number | null, code: number | null }} StateDetail */
/** `count`: how many entries were missed; null when the room's log began anew. */
/** @typedef {{ roomId: string, count: number | null }} MissedDetail */
/** `time`: Unix ms; `dup`: true when the server had this message already. */
/** @typedef {{ seq: number, roomId: string, offset: number, epoch: string | number, time: number, dup?: true }} Ack */

/**
 * @typedef {object} Options
 * @property {string} [user] the name to chat under; without it the server calls us `guest-…`
 * @property {string} [token] a JWT, where the server asks for one
 * @property {string[]} [rooms] rooms to join as soon as we are connected
 * @property {string} [session] default a random one; two live clients must not share it
 * @property {number} [queueMax] messages kept while unacknowledged, default 128
 * @property {number} [queueCharsMax] their total length as JSON, default 1 Mi characters
 * @property {typeof WebSocket} [WebSocket] default the global one; Node before 22 has none, pass that of `ws`
 */

/** @typedef {{ type: string, [field: string]: any }} Message */
/** @typedef {{ text: string, resolve: (answer: any) => void, reject: (error: Error) => void }} Waiting */

/** Half of the first retry delays are below a quarter of a second: most drops are short. */
const BACKOFF_BASE_MS = 500;
const BACKOFF_CAP_MS = 30_000;
/** A connection that lived this long was a good one, and the back-off starts again from its base. */
const STEADY_MS = 5_000;
/** From opening to `welcome`; the server gives a handshake 10 s. */
const CONNECT_MAX_MS = 15_000;
/** How long a connection may take to prove itself after the network or the user came back. */
const PROBE_MS = 5_000;
/** The longest wait that a server may ask for with `reconnect`. */
const COME_BACK_MAX_MS = 10 * 60_000;
const HEARTBEAT_DEFAULT_S = 30;
/** Below the server's burst of 200 messages, so that sending all of them again is never too fast for it. */
const QUEUE_MAX = 128;
const QUEUE_CHARS_MAX = 1 << 20;
/** The close code of a connection whose session was taken over by a newer one. */
const CODE_REPLACED = 4003;
/** With this we close a connection on which nothing was heard. */
const CODE_HEARTBEAT_LOST = 4009;

/** An error answer of the server, or our own reason not to send; `code` is a stable word. */
export class TidewireError extends Error {
  constructor(/** @type {string} */ code, /** @type {string} */ message) {
    super(message);
    this.name = 'TidewireError';
    this.code = code;
  }
}

/**
 * Returns a client that connects at once and stays connected until `close()`. `url` may be relative to the page.
 *
 * @param {string | URL} url
 * @param {Options} [options]
 */
export function connect(url, options = {}) {
  return new Client(url, options);
}

//                    welcome                  4003
//     ┌ connecting ─────────────→ live ─────────────────→ replaced
//     │     │ lost                │  ↑ welcome                │
//     │     ↓                     ↓  │                        │ reconnect()
//     │     └──────────────→ reconnecting ←───────────────────┘
//     └── close(), from anywhere → closed
export class Client extends EventTarget {
  /** @type {URL} */ #url;
  /** @type {Options} */ #options;
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {State} */ #state = 'connecting';
  /** @type {ReturnType<typeof setTimeout> | undefined} waits for the next attempt, `welcome`, or a sign of life */
  #timer;
  /** @type {number | null} */ #retryAt = null;
  #attempts = 0;
  #liveSince = 0;
  /** Until when (Unix ms) the server asked us to stay away. */
  #awayUntil = 0;
  #heartbeatMs = HEARTBEAT_DEFAULT_S * 1000;
  #lastSeq = 0;
  #lastId = 0;
  /** @type {Map<number, Waiting>} unacknowledged messages by `seq`, in the order they were sent */
  #unacked = new Map();
  #unackedChars = 0;
  /** @type {Map<string, Waiting & { message: Message }>} unanswered requests by `id` */
  #requests = new Map();
  /** @type {Set<string>} */ #rooms;
  /** @type {Map<string, Cursor>} */ #cursors = new Map();
  #listeners = new AbortController();

  constructor(/** @type {string | URL} */ url, /** @type {Options} */ options) {
    super();
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace(/^http/, 'ws');
    this.#options = options;
    this.#rooms = new Set(options.rooms);
    /** The key, with the user and `seq`, by which the server knows a message that is sent again. */
    this.session = options.session ?? randomSession();
    /** Our name, as the server knows it once it has said `welcome`. */
    this.user = options.user ?? '';
    this.#listenForReturn();
    this.#open();
  }

  get state() {
    return this.#state;
  }

  /** When the next attempt starts (Unix ms), or null when none is waited for. */
  get retryAt() {
    return this.#retryAt;
  }

  /**
   * Joins a room, now and after every reconnect; resolves with the server's `joined`. What was said behind the position
   * `since` comes before that: '' means from the oldest kept message; without it, only what is said from now on.
   */
  async join(/** @type {string} */ roomId, /** @type {string | undefined} */ since = undefined) {
    this.#rooms.add(roomId);
    try {
      return await this.#request({ type: 'join_room', roomId, since });
    } catch (error) {
      this.#rooms.delete(roomId);
      throw error;
    }
  }

  /** Leaves a room; resolves with the server's `left`. Without a connection there is nothing left to leave. */
  async leave(/** @type {string} */ roomId) {
    this.#rooms.delete(roomId);
    if (this.#state === 'live') return this.#request({ type: 'leave_room', roomId });
    this.#cancelJoins(roomId);
    this.#cursors.delete(roomId);
    return { type: 'left', roomId };
  }

  /**
   * Resolves with the server's `history`: its `messages` behind the position `since`, or before the position `before`, or
   * the newest, `limit` of them at most.
   */
  history(/** @type {string} */ roomId, /** @type {{ since?: string, before?: string, limit?: number }} */ part = {}) {
    return this.#request({ type: 'history', roomId, ...part });
  }

  /** Resolves with the server's `presence`: who is in a room, as `members`. */
  presence(/** @type {string} */ roomId) {
    return this.#request({ type: 'presence', roomId });
  }

  /**
   * Sends any JSON value to a room. Resolves once the message is kept, be it after a reconnect; rejects with a
   * `TidewireError` when the server refuses it, when too much is unacknowledged (`queue_full`) or after `close()`.
   */
  send(/** @type {string} */ roomId, /** @type {any} */ content) {
    return this.#publish({ type: 'room_msg', roomId, content });
  }

  /** Sends any JSON value to one user; settles as `send` does. */
  private(/** @type {string} */ toUser, /** @type {any} */ content) {
    return this.#publish({ type: 'private_msg', toUser, content });
  }

  /** Sends any JSON value to everyone; settles as `send` does. */
  broadcast(/** @type {any} */ content) {
    return this.#publish({ type: 'broadcast', content });
  }

  /** Tells a room that we are typing. Worth nothing later, so it is dropped unless the connection is live. */
  typing(/** @type {string} */ roomId) {
    this.#transmit(JSON.stringify({ type: 'typing', roomId }));
  }

  /** How far a room has been read, or undefined before it was joined. */
  position(/** @type {string} */ roomId) {
    const cursor = this.#cursors.get(roomId);
    return cursor && { epoch: cursor.epoch, offset: cursor.offset };
  }

  /** Connects now: instead of waiting for the next attempt, or to take the session back after `replaced`. */
  reconnect() {
    if (this.#socket !== null || this.#state === 'closed') return;
    this.#open();
  }

  /** Closes the connection for good; what is unacknowledged is rejected with the code `closed`. */
  close() {
    if (this.#state === 'closed') return;
    this.#socket?.close(1000);
    this.#forgetSocket();
    this.#listeners.abort();
    this.#become('closed', 1000);
    for (const { reject } of [...this.#unacked.values(), ...this.#requests.values()]) reject(closedError());
    this.#unacked.clear();
    this.#requests.clear();
  }

  // The connection.

  #open() {
    clearTimeout(this.#timer);
    this.#retryAt = null;
    this.#become(this.#state === 'connecting' ? 'connecting' : 'reconnecting');
    const Socket = this.#options.WebSocket ?? globalThis.WebSocket;
    const socket = new Socket(this.#address());
    this.#socket = socket;
    // A socket that we gave up may still speak; only the current one is listened to.
    socket.onmessage = (event) => socket === this.#socket && this.#receive(event.data);
    socket.onclose = (event) => socket === this.#socket && this.#lost(event.code);
    // Without a listener, `ws` would throw; `onclose` always follows and says it all.
    socket.onerror = () => {};
    this.#timer = setTimeout(() => this.#giveUp(), CONNECT_MAX_MS);
  }

  #address() {
    const address = new URL(this.#url);
    if (this.#options.user !== undefined) address.searchParams.set('userId', this.#options.user);
    if (this.#options.token !== undefined) address.searchParams.set('token', this.#options.token);
    address.searchParams.set('session', this.session);
    return address.href;
  }

  #giveUp() {
    this.#socket?.close(CODE_HEARTBEAT_LOST);
    this.#lost(CODE_HEARTBEAT_LOST);
  }

  #lost(/** @type {number} */ code) {
    this.#forgetSocket();
    if (code === CODE_REPLACED) {
      // Two clients that both come back would replace each other for ever.
      this.#become('replaced', code);
      return;
    }
    if (this.#state === 'live' && Date.now() - this.#liveSince > STEADY_MS) this.#attempts = 0;
    const delay = this.#retryDelay();
    this.#retryAt = Date.now() + delay;
    this.#timer = setTimeout(() => this.#open(), delay);
    this.#become('reconnecting', code);
  }

  #forgetSocket() {
    clearTimeout(this.#timer);
    this.#socket = null;
    this.#retryAt = null;
  }

  /** Exponential back-off with full jitter, unless the server has said when to come back. */
  #retryDelay() {
    const asked = this.#awayUntil - Date.now();
    if (asked > 0) return asked;
    const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** this.#attempts);
    this.#attempts += 1;
    return Math.random() * ceiling;
  }

  #become(/** @type {State} */ state, /** @type {number | null} */ code = null) {
    this.#state = state;
    if (state === 'live') this.#liveSince = Date.now();
    this.#emit('state', { state, retryAt: this.#retryAt, code });
  }

  /** Takes the return of the network or of the user as the moment to try again, or to check. */
  #listenForReturn() {
    const signal = this.#listeners.signal;
    globalThis.window?.addEventListener('online', () => this.#hurry(), { signal });
    const onVisibility = () => document.visibilityState === 'visible' && this.#hurry();
    globalThis.document?.addEventListener('visibilitychange', onVisibility, { signal });
  }

  #hurry() {
    if (this.#state === 'live') {
      this.#probe(PROBE_MS);
    } else if (this.#retryAt !== null && Date.now() >= this.#awayUntil) {
      this.#open();
    }
  }

  /** Waits for the next sign of life. A browser does not show us the server's pings, so silence is asked about. */
  #heard() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#probe(this.#heartbeatMs / 2), this.#heartbeatMs);
  }

  // The limit runs from the question, not from what was heard last: timers of a hidden tab come minutes late.
  #probe(/** @type {number} */ waitMs) {
    this.#transmit('{"type":"heartbeat"}');
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#giveUp(), waitMs);
  }

  // Out.

  /** @returns {Promise<Ack>} */
  #publish(/** @type {Message} */ message) {
    if (this.#state === 'closed') return Promise.reject(closedError());
    const seq = this.#lastSeq + 1;
    const text = JSON.stringify({ ...message, seq });
    const { queueMax = QUEUE_MAX, queueCharsMax = QUEUE_CHARS_MAX } = this.#options;
    if (this.#unacked.size >= queueMax || this.#unackedChars + text.length > queueCharsMax) {
      return Promise.reject(queueFullError());
    }
    this.#lastSeq = seq;
    this.#unackedChars += text.length;
    this.#transmit(text);
    return new Promise((resolve, reject) => this.#unacked.set(seq, { text, resolve, reject }));
  }

  /** @returns {Promise<Message>} */
  #request(/** @type {Message} */ message) {
    if (this.#state === 'closed') return Promise.reject(closedError());
    if (this.#requests.size >= (this.#options.queueMax ?? QUEUE_MAX)) return Promise.reject(queueFullError());
    const id = String((this.#lastId += 1));
    const text = JSON.stringify({ ...message, id });
    this.#transmit(text);
    return new Promise((resolve, reject) => this.#requests.set(id, { text, message, resolve, reject }));
  }

  #transmit(/** @type {string} */ text) {
    if (this.#state === 'live') this.#socket?.send(text);
  }

  #cancelJoins(/** @type {string} */ roomId) {
    for (const [id, { message }] of this.#requests) {
      if (message.roomId === roomId) this.#takeRequest(id)?.reject(new TidewireError('left', 'The room was left.'));
    }
  }

  /** Brings a new connection to where the old one was: rooms first, because the messages go to them. */
  #restore() {
    const asked = [...this.#requests.values()];
    for (const { text } of asked) this.#transmit(text);
    for (const roomId of this.#rooms) {
      if (asked.some(({ message }) => message.type === 'join_room' && message.roomId === roomId)) continue;
      this.join(roomId, this.#cursors.get(roomId)?.toString()).catch(({ code, message }) => {
        // Only a refusal is news: an own `leave` or `close` is none.
        if (this.#state === 'live') this.#emit('error', { type: 'error', code, message, roomId });
      });
    }
    for (const { text } of this.#unacked.values()) this.#transmit(text);
  }

  // In.

  #receive(/** @type {any} */ data) {
    const message = parse(data);
    if (message === null) return;
    if (this.#state === 'live') this.#heard();
    switch (message.type) {
      case 'welcome':
        return this.#onWelcome(message);
      case 'joined':
        return this.#onJoined(message);
      case 'ack':
        return this.#onAck(message);
      case 'error':
        return this.#onError(message);
      case 'left':
        this.#cursors.delete(message.roomId);
        break;
      case 'room_msg':
        // After a reconnect something may come again, or be our own that was acknowledged.
        if (this.#cursors.get(message.roomId)?.has(message)) return;
        this.#cursors.get(message.roomId)?.read(message);
        break;
      case 'gap':
        this.#onGap(message);
        break;
      case 'reconnect':
        this.#awayUntil = Date.now() + Math.min(Math.max(Number(message.after) || 0, 0), COME_BACK_MAX_MS);
        break;
    }
    this.#answer(message);
    this.#emit(message.type, message);
  }

  #onWelcome(/** @type {Message} */ message) {
    this.user = message.user;
    this.session = message.session;
    this.#heartbeatMs = (message.heartbeat || HEARTBEAT_DEFAULT_S) * 1000;
    this.#awayUntil = 0;
    this.#emit('welcome', message);
    // Before anyone hears that we are live: what they send then belongs behind what was already waiting.
    this.#state = 'live';
    this.#restore();
    this.#become('live');
    this.#heard();
  }

  #onJoined(/** @type {Message} */ message) {
    const { roomId } = message;
    const before = this.#cursors.get(roomId);
    const now = Cursor.parse(message.position);
    if (now !== null) this.#cursors.set(roomId, now);
    this.#answer(message);
    this.#emit('joined', message);
    if (before === undefined || now === null) return;
    const count = now.epoch === before.epoch ? now.offset - before.offset : null;
    if (count !== 0) this.#emit('missed', { roomId, count });
  }

  #onGap(/** @type {Message} */ { roomId, from, to }) {
    const [before, after] = [Cursor.parse(from), Cursor.parse(to)];
    if (after === null) return;
    if (this.#cursors.has(roomId)) this.#cursors.set(roomId, after);
    const count = before?.epoch === after.epoch ? after.offset - before.offset : null;
    this.#emit('missed', { roomId, count });
  }

  #onAck(/** @type {Message} */ message) {
    this.#cursors.get(message.roomId)?.wrote(message);
    this.#settle(message.seq)?.resolve(message);
    this.#emit('ack', message);
  }

  #onError(/** @type {Message} */ message) {
    const waiting = this.#settle(message.seq) ?? this.#takeRequest(message.id);
    if (waiting) waiting.reject(new TidewireError(message.code, message.message));
    else this.#emit('error', message);
  }

  #answer(/** @type {Message} */ message) {
    this.#takeRequest(message.id)?.resolve(message);
  }

  #settle(/** @type {number} */ seq) {
    const waiting = this.#unacked.get(seq);
    if (waiting !== undefined) this.#unackedChars -= waiting.text.length;
    this.#unacked.delete(seq);
    return waiting;
  }

  #takeRequest(/** @type {string} */ id) {
    const waiting = this.#requests.get(id);
    this.#requests.delete(id);
    return waiting;
  }

  #emit(/** @type {string} */ type, /** @type {unknown} */ detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * How far one room has been read. Messages of others arrive in order, so the newest of them stands for all before it;
 * an ack may overtake them, so what we wrote counts only once everything before it has arrived.
 */
class Cursor {
  /** @type {Set<number>} */ #ahead = new Set();

  constructor(/** @type {string} */ epoch, /** @type {number} */ offset) {
    this.epoch = epoch;
    this.offset = offset;
  }

  /** The position `"<epoch>-<offset>"`, or null for what is none. */
  static parse(/** @type {unknown} */ position) {
    const match = /^(.+)-(\d+)$/.exec(String(position));
    return match && new Cursor(match[1], Number(match[2]));
  }

  toString() {
    return `${this.epoch}-${this.offset}`;
  }

  /** Whether an entry was read or written before. */
  has(/** @type {Message} */ { epoch, offset }) {
    return String(epoch) === this.epoch && (offset <= this.offset || this.#ahead.has(offset));
  }

  read(/** @type {Message} */ { epoch, offset }) {
    this.#enter(epoch);
    this.#reach(Math.max(this.offset, offset));
  }

  wrote(/** @type {Message} */ { epoch, offset }) {
    this.#enter(epoch);
    if (offset > this.offset) this.#ahead.add(offset);
    this.#reach(this.offset);
  }

  #enter(/** @type {string | number} */ epoch) {
    if (String(epoch) === this.epoch) return;
    this.epoch = String(epoch);
    this.offset = 0;
    this.#ahead.clear();
  }

  #reach(/** @type {number} */ offset) {
    while (this.#ahead.has(offset + 1)) offset += 1;
    this.offset = offset;
    for (const own of this.#ahead) if (own <= offset) this.#ahead.delete(own);
  }
}

/** @returns {Message | null} */
function parse(/** @type {any} */ data) {
  try {
    const message = JSON.parse(data);
    return typeof message?.type === 'string' ? message : null;
  } catch {
    // Not ours to judge: a newer server may speak in ways that this client does not know.
    return null;
  }
}

function randomSession() {
  // `randomUUID` exists only in secure contexts; a page over plain http on a LAN is none.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function closedError() {
  return new TidewireError('closed', 'The connection was closed.');
}

function queueFullError() {
  return new TidewireError('queue_full', 'Too many messages are waiting to be sent; try again when the connection is back.');
}
