// The Tidewire client for browsers and Node: one plain ES module, no dependencies, no build step. It keeps one chat
// connection alive (docs/PROTOCOL.md has the messages), sends what could not be sent yet, sends again what was not
// acknowledged, and reads on where it was: what was said meanwhile comes as if nothing had happened. Where WebSocket does
// not get through, it chats by Server-Sent Events, and by long-poll where those do not; where there are several servers, at the
// next. docs/CLIENT.md is its guide.
//
//     const client = connect('/ws', { user: 'Ada' });
//     const lobby = client.room('lobby');
//     lobby.on('room_msg', ({ from, content }) => console.log(from, content));
//     await lobby.join();
//     const { offset } = await lobby.send('hello');
//
// It is not a store of messages: it remembers only how far it has read each log. Read top-down: `Client` is what is said,
// `Room` a view of it, `Line` keeps one connection up, the links below it carry texts.

/** @typedef {'connecting' | 'live' | 'reconnecting' | 'replaced' | 'closed'} State */
/** @typedef {'websocket' | 'sse' | 'poll'} Transport */

/** `retryAt`: when the next attempt starts (Unix ms); `code`: the close code that brought us here, if one did. */
/** @typedef {{ state: State, transport: Transport, retryAt: number | null, code: number | null }} StateDetail */
/** What is behind position `from`, up to and with `to`, will not come; `count` is null where the log began anew. */
/** @typedef {{ type: 'gap', roomId: string, from: string, to: string, reason: string, count: number | null }} Gap */
/** `time`: Unix ms; `dup`: true when the server had this message already. */
/** @typedef {{ type: 'ack', seq: Seq, roomId: string, offset: number, epoch: string | number, time: number, dup?: true }} Ack */
/** An entry of a log; `roomId` only in rooms, `time` in Unix ms. */
/** @typedef {{ type: string, roomId?: string, offset: number, epoch: string | number, from: string, content: any, time: number }} Entry */
/** @typedef {{ type: 'welcome', session: string, user: string, connection?: string, msg: string, heartbeat: number, time: number }} Welcome */
/** `recovered`: nothing was missing behind `since`; `members`: names, 1,000 at most. */
/** @typedef {{ type: 'joined', roomId: string, position: string, recovered: boolean, members: string[] }} Joined */
/** @typedef {{ type: 'left', roomId: string }} Left */
/** @typedef {{ type: 'presence', roomId: string, members: string[] }} Presence */
/** @typedef {{ type: 'system', roomId: string, event: 'join' | 'leave', user: string, content: string }} System */
/** @typedef {{ type: 'typing', roomId: string, user: string }} Typing */
/** A page of a log, oldest first; `gap` is what is missing before it. */
/** @typedef {{ type: 'history', roomId: string, messages: Entry[], position: string, more: boolean, gap?: { from: string, to: string, reason: string } }} History */
/** @typedef {{ type: 'error', code: string, message: string, roomId?: string, session?: string, seq?: Seq }} ErrorDetail */
/** @typedef {{ unacked: number }} Backlog */
/** One of the chat's addresses, or several of nodes that share their log. */
/** @typedef {string | URL | (string | URL)[]} Addresses */
/**
 * The `detail` of each event.
 *
 * @typedef {{
 *   state: StateDetail, latency: number, full: Backlog, drain: Backlog, restored: Kept, delayed: ErrorDetail,
 *   welcome: Welcome, joined: Joined, left: Left, room_msg: Entry, private_msg: Entry, broadcast: Entry,
 *   system: System, typing: Typing, presence: Presence, history: History, gap: Gap, ack: Ack, error: ErrorDetail, heartbeat: { time: number },
 * }} Events
 */
/** Behind `since`, or back from `before`, or the newest; `limit` is 1 to 1,000. */
/** @typedef {{ since?: string, before?: string, limit?: number }} Part */
/** A number, or where the application counts by itself, a string. */
/** @typedef {number | string} Seq */
/** A message that an outbox keeps: what `user` said in `session` as `seq`. */
/** @typedef {{ session: string, seq: Seq, user?: string, message: Message }} Kept */

/**
 * Where messages wait that are not acknowledged, so that they outlive the page; `outbox.js` has one in IndexedDB.
 *
 * @typedef {object} Outbox
 * @property {() => Promise<Kept[]>} load what earlier pages left, in the order it was put
 * @property {(kept: Kept) => Promise<void>} put
 * @property {(kept: Kept) => Promise<void>} remove
 */

/**
 * @typedef {object} Options
 * @property {string} [user] the name to chat under; without it the server calls us `guest-…`
 * @property {string | (() => string | Promise<string>)} [token] a JWT, or what fetches a fresh one
 * @property {string[]} [rooms] rooms to join as soon as we are connected
 * @property {Record<string, string>} [positions] where to go on, by room (or `*`, or `@` and our name)
 * @property {string} [session] default a random one; two live clients must not share it
 * @property {Transport[]} [transports] which to use, best first; default all three
 * @property {Outbox} [outbox] keeps what is unacknowledged beyond the page
 * @property {number} [queueMax] messages kept while unacknowledged, default 128
 * @property {number} [queueCharsMax] their total length as JSON, default 1 Mi characters
 * @property {typeof WebSocket} [WebSocket] default the global one; Node before 22 has none, pass that of `ws`
 * @property {typeof fetch} [fetch] default the global one
 */

/** @typedef {{ type: string, [field: string]: any }} Message */
/** @typedef {{ promise: Promise<any>, resolve: (answer: any) => void, reject: (error: Error) => void }} Resolvers */
/** @typedef {Resolvers & { text: string, message: Message, sentAt?: number, isDelayed?: boolean, gap?: object }} Waiting */

/** Below the server's burst of 200 messages, so that sending all of them again is never too fast for it. */
const QUEUE_MAX = 128;
/** What a WebSocket's address may have; servers and proxies take 8 KiB. Rooms beyond that are joined behind it. */
const ADDRESS_CHARS_MAX = 6_000;
/** What a server cannot keep is sent again, twice as late each time, but for so often: it is soon seen when it can. */
const DELAYS_MAX = 2;
/** The server closes the connection over longer ones, and would again. */
const MESSAGE_BYTES_MAX = 64 << 10;
const JOIN_PAUSE_MS = 1_000;
const QUEUE_CHARS_MAX = 1 << 20;
/**
 * Messages of one log that wait until it is known which of them are ours: more than come after a long absence before the server has heard
 * what we say again, which is what the network's buffers take.
 */
const HELD_MAX = 20_000;
const HISTORY_PAGE = 100;
/** The log of the broadcasts. */
const BROADCASTS = '*';
/** The server cannot reach its log. */
const UNAVAILABLE = 'unavailable';

/** An error answer of the server, or our own reason not to send; `code` is a stable word. */
export class TidewireError extends Error {
  constructor(/** @type {string} */ code, /** @type {string} */ message) {
    super(message);
    this.name = 'TidewireError';
    this.code = code;
  }
}

/**
 * Returns a client that connects at once and stays connected until `close()`. An address may be relative to the page. Of several it
 * begins with any, and who loses one goes on at the next.
 *
 * @param {Addresses} url
 * @param {Options} [options]
 */
export function connect(url, options = {}) {
  return new Client(url, options);
}

/** What tells of events: `addEventListener`, and `on`, which needs no event. */
export class Emitter extends EventTarget {
  /**
   * Calls `listener` with the `detail` of each event of this type; returns what ends that.
   *
   * @template {keyof Events} K
   * @param {K} type
   * @param {(detail: Events[K]) => void} listener
   */
  on(type, listener) {
    const onEvent = (/** @type {any} */ { detail }) => listener(detail);
    this.addEventListener(type, onEvent);
    return () => this.removeEventListener(type, onEvent);
  }
}

/**
 * Every message of the server is dispatched as a `CustomEvent` of its `type` with the message as `detail`. Besides these:
 * `state` (a `StateDetail`) on every change of the connection, `latency` (milliseconds), `full` when a message was refused
 * because too many are unacknowledged and `drain` when there is room again, `restored` (a `Kept`) for what an earlier page left
 * and is sent again, `delayed` (the error) for what the server could not keep for now and is sent again. `error` is only for errors that answer none of our promises.
 */
export class Client extends Emitter {
  /** @type {Options} */ #options;
  /** @type {Line} */ #line;
  #lastSeq = 0;
  #lastId = 0;
  /** @type {Map<Seq, Waiting>} unacknowledged messages by `seq`, in the order they were sent */
  #unacked = new Map();
  #unackedChars = 0;
  #isFull = false;
  /** @type {Map<string, Waiting>} unanswered requests by `id` */
  #requests = new Map();
  /** @type {Set<string>} rooms that we are in, or want to be */
  #joined;
  /** @type {Map<string, Room>} */ #rooms = new Map();
  /** @type {Map<string, Cursor>} how far each log is read */
  #cursors = new Map();
  /** @type {Map<string, { behind: Seq, messages: Message[] }>} what waits, by log, until that `seq` is settled */
  #held = new Map();
  #isFindingBroadcasts = false;
  /** The last address had no space for the rooms. */
  #isLong = false;
  /** What an earlier page left goes first; until then nothing else is transmitted. */
  #isRestoring = false;
  /** How often in a row the server could not keep anything: what is new waits behind the oldest of that. */
  #delays = 0;
  /** @type {Timer | undefined} waits to send that again */ #sendingAgain;
  /** Waits for the first connection. @type {() => void} */
  #beginRestoring = () => {};
  /** @type {number | null} */ #latency = null;

  constructor(/** @type {Addresses} */ url, /** @type {Options} */ options = {}) {
    super();
    this.#options = options;
    this.#joined = new Set(options.rooms);
    for (const [log, position] of Object.entries(options.positions ?? {})) this.#startFrom(log, position);
    /** The key, with the user and `seq`, by which the server knows a message that is sent again. */
    this.session = options.session ?? randomSession();
    // A session that was used before has used numbers, too.
    if (options.session !== undefined) this.#lastSeq = Date.now() * 1000;
    /** Our name, as the server knows it once it has said `welcome`. */
    this.user = options.user ?? '';
    const addresses = [url].flat().map((each) => new URL(each, globalThis.location?.href));
    this.#line = new Line(addresses, options, {
      query: () => this.#query(),
      user: () => this.#options.user ?? this.user,
      session: () => this.session,
      onWelcome: (message) => this.#onWelcome(message),
      onMessage: (message) => this.#receive(message),
      onState: (detail) => this.#emit('state', detail),
    });
    const { outbox } = options;
    if (outbox !== undefined) {
      this.#isRestoring = true;
      const finding = this.#findLeft(outbox);
      // Told where it is awaited.
      finding.catch(() => {});
      this.#beginRestoring = () => this.#restore(outbox, finding);
    }
    this.#line.open();
  }

  /** @type {State} */
  get state() {
    return this.#line.state;
  }

  /** What carries the connection, or is tried. @type {Transport} */
  get transport() {
    return this.#line.transport;
  }

  /** How long the server took for its last answer (ms), or null before the first. */
  get latency() {
    return this.#latency;
  }

  /** When the next attempt starts (Unix ms), or null when none is waited for. */
  get retryAt() {
    return this.#line.retryAt;
  }

  /** The room's part of this client; the same object for the same room. Nothing is joined by that. */
  room(/** @type {string} */ roomId) {
    let room = this.#rooms.get(roomId);
    if (room === undefined) this.#rooms.set(roomId, (room = new Room(this, roomId)));
    return room;
  }

  /**
   * Joins a room, now and after every reconnect; resolves with the server's `joined`. What was said behind the position
   * `since` comes before that: '' means from the oldest kept message; without it, only what is said from now on.
   *
   * @param {string} roomId
   * @param {string} [since]
   * @returns {Promise<Joined>}
   */
  async join(roomId, since) {
    const isNew = !this.#joined.has(roomId);
    // What we have read is passed over, so who wants to read it again comes in anew.
    if (!isNew && since !== undefined) this.leave(roomId).catch(() => {});
    this.#joined.add(roomId);
    try {
      return await this.#request({ type: 'join_room', roomId, since });
    } catch (error) {
      // Who has left is not in it, or is again by another call.
      if (isNew && /** @type {any} */ (error).code !== 'left') this.#joined.delete(roomId);
      throw error;
    }
  }

  /**
   * Leaves a room; resolves with the server's `left`. Without a connection there is nothing left to leave.
   *
   * @param {string} roomId
   * @returns {Promise<Left>}
   */
  async leave(roomId) {
    this.#joined.delete(roomId);
    if (this.state === 'live') return this.#request({ type: 'leave_room', roomId });
    this.#cancelJoins(roomId);
    this.#cursors.delete(roomId);
    return { type: 'left', roomId };
  }

  /** Joins that were asked for before the leaving `id` will not be answered. */
  #cancelJoins(/** @type {string} */ roomId, before = Infinity) {
    for (const [id, { message }] of this.#requests) {
      const isCancelled = message.type === 'join_room' && message.roomId === roomId && Number(id) < before;
      if (isCancelled) this.#takeRequest(id)?.reject(new TidewireError('left', 'The room was left.'));
    }
  }

  /**
   * Resolves with one page of history: its `messages` (oldest first) behind the position `since`, or before the position
   * `before`, or the newest; `position` is behind the last of them, `more` says whether there are others that way.
   * `@` with our own name reads our private messages, `*` the broadcasts. Where something is missing before them, `gap` says
   * what (`from`, `to`, `reason`).
   *
   * @param {string} roomId
   * @param {Part} [part]
   * @returns {Promise<History>}
   */
  history(roomId, part = {}) {
    return this.#request({ type: 'history', roomId, ...part });
  }

  /**
   * Resolves with the server's `presence`: who is in a room, as `members`.
   *
   * @param {string} roomId
   * @returns {Promise<Presence>}
   */
  presence(roomId) {
    return this.#request({ type: 'presence', roomId });
  }

  /**
   * Sends any JSON value to a room. Resolves once the message is kept, be it after a reconnect; rejects with a
   * `TidewireError` when the server refuses it, when too much is unacknowledged (`queue_full`) or after `close()`. Who gives a
   * `seq` sends the same message again under it, and it is kept once.
   */
  send(/** @type {string} */ roomId, /** @type {any} */ content, /** @type {Seq | undefined} */ seq = undefined) {
    return this.#publish({ type: 'room_msg', roomId, content }, seq);
  }

  /** Sends any JSON value to one user; settles as `send` does. */
  private(/** @type {string} */ toUser, /** @type {any} */ content, /** @type {Seq | undefined} */ seq = undefined) {
    return this.#publish({ type: 'private_msg', toUser, content }, seq);
  }

  /** Sends any JSON value to everyone; settles as `send` does. */
  broadcast(/** @type {any} */ content, /** @type {Seq | undefined} */ seq = undefined) {
    return this.#publish({ type: 'broadcast', content }, seq);
  }

  /** Tells a room that we are typing. Worth nothing later, so it is dropped unless the connection is live. */
  typing(/** @type {string} */ roomId) {
    this.#line.send(JSON.stringify({ type: 'typing', roomId }));
  }

  /** The position up to which a log (a room, `*`, or `@` and our name) has been read; undefined before it is known. */
  position(/** @type {string} */ log) {
    return this.#cursors.get(log)?.toString();
  }

  #startFrom(/** @type {string} */ log, /** @type {string} */ position) {
    const cursor = Cursor.parse(position);
    if (cursor !== null) this.#cursors.set(log, cursor);
  }

  /** Connects now: instead of waiting for the next attempt, or to take the session back after `replaced`. */
  reconnect() {
    this.#line.reconnect();
  }

  /** Closes the connection for good; what is unacknowledged is rejected with the code `closed`. */
  close() {
    if (this.state === 'closed') return;
    this.#line.close();
    this.#sendingAgain?.cancel();
    for (const { reject } of [...this.#unacked.values(), ...this.#requests.values()]) reject(closedError());
    this.#unacked.clear();
    this.#requests.clear();
    this.#held.clear();
  }

  // Out.

  /** @returns {Promise<Ack>} */
  async #publish(/** @type {Message} */ body, /** @type {Seq} */ seq = this.#lastSeq + 1) {
    if (this.state === 'closed') throw closedError();
    const known = this.#unacked.get(seq)?.promise;
    if (known !== undefined) return known;
    const message = { ...body, seq };
    const text = JSON.stringify(message);
    if (new TextEncoder().encode(text).length > MESSAGE_BYTES_MAX) throw new TidewireError('too_large', 'It is over 64 KiB.');
    if (typeof seq === 'number' && !Number.isFinite(seq)) throw new TypeError('seq is a number or a text');
    const { queueMax = QUEUE_MAX, queueCharsMax = QUEUE_CHARS_MAX } = this.#options;
    if (this.#unacked.size >= queueMax || this.#unackedChars + text.length > queueCharsMax) {
      this.#isFull = true;
      this.#emit('full', { unacked: this.#unacked.size });
      throw queueFullError();
    }
    if (typeof seq === 'number') this.#lastSeq = Math.max(this.#lastSeq, seq);
    this.#unackedChars += text.length;
    const waiting = { text, message, isDelayed: this.#delays > 0 || undefined, ...withResolvers() };
    this.#unacked.set(seq, waiting);
    this.#options.outbox?.put(this.#kept(JSON.parse(text))).catch((error) => this.#onOutboxError(error));
    if (!this.#isRestoring && !waiting.isDelayed) this.#transmit(waiting);
    return waiting.promise;
  }

  /** @returns {Promise<any>} */
  async #request(/** @type {Message} */ body) {
    if (this.state === 'closed') throw closedError();
    if (this.#requests.size >= (this.#options.queueMax ?? QUEUE_MAX)) throw queueFullError();
    const id = String((this.#lastId += 1));
    const message = { ...body, id };
    const waiting = { text: JSON.stringify(message), message, ...withResolvers() };
    this.#requests.set(id, waiting);
    this.#transmit(waiting);
    return waiting.promise;
  }

  #transmit(/** @type {Waiting} */ waiting) {
    if (!this.#line.send(this.#textOf(waiting))) return;
    waiting.sentAt = Date.now();
    // Of what was not delayed nothing is noted: it keeps its order.
    waiting.isDelayed &&= false;
  }

  /** A room that is joined again goes on where it was, also on another connection. */
  #textOf(/** @type {Waiting} */ { text, message }) {
    const { type, roomId, since } = message;
    const at = this.position(roomId);
    if (type !== 'join_room' || since !== undefined || at === undefined || this.#isAskedFor(roomId, 'leave_room')) return text;
    return JSON.stringify({ ...message, since: at });
  }

  /** What the address of a connection says: who we are, where we were, and how far we have read. */
  #query() {
    const query = new URLSearchParams();
    if (this.#options.user !== undefined) query.set('userId', this.#options.user);
    query.set('session', this.session);
    const positions = [];
    for (const [log, cursor] of this.#cursors) positions.push(`${encodeURIComponent(log)}:${cursor}`);
    for (const roomId of this.#joined) if (!this.#isAskedFor(roomId)) query.append('room', roomId);
    if (positions.length > 0) query.set('since', positions.join(','));
    this.#isLong = this.transport === 'websocket' && String(query).length > ADDRESS_CHARS_MAX;
    if (this.#isLong) {
      query.delete('room');
      query.set('since', positions.filter((position) => /^(\*:|%40)/.test(position)).join(','));
    }
    return query;
  }

  #isAskedFor(/** @type {string} */ roomId, type = 'join_room') {
    return [...this.#requests.values()].some(({ message }) => message.type === type && message.roomId === roomId);
  }

  // What an earlier page left.

  /** @returns {Kept} */
  #kept(/** @type {Message} */ message) {
    return { session: this.session, seq: message.seq, user: this.#options.user, message };
  }

  /** Tells what an earlier page of the same user left. @returns {Promise<Kept[]>} */
  async #findLeft(/** @type {Outbox} */ outbox) {
    const isLeft = (/** @type {Kept} */ { user, session, seq }) =>
      user === this.#options.user && !(session === this.session && this.#unacked.has(seq));
    const left = (await outbox.load()).filter(isLeft);
    for (const kept of left) this.#emit('restored', kept);
    return left;
  }

  /** Sends it, under the session that it had, so that what was kept after all is not kept twice. */
  async #restore(/** @type {Outbox} */ outbox, /** @type {Promise<Kept[]>} */ finding) {
    try {
      for (const kept of await finding) {
        const onDelayed = (/** @type {Message} */ error) => this.#emit('delayed', { ...error, session: kept.session });
        const answer = await this.#line.post(kept, onDelayed, () => this.#endRestoring());
        // What the server could not keep for want of space is tried again by the next page.
        if (answer.type === 'ack' || !answer.code.startsWith('storage_')) await outbox.remove(kept);
        this.#emit(answer.type, { ...answer, session: kept.session });
      }
    } catch (error) {
      this.#onOutboxError(error);
    }
    this.#endRestoring();
  }

  /** Where POST does not get through, what is live may: what is new waits no longer. */
  #endRestoring() {
    if (!this.#isRestoring) return;
    this.#isRestoring = false;
    this.#transmitAll();
  }

  #onOutboxError(/** @type {unknown} */ error) {
    if (this.state !== 'closed') this.#emit('error', { type: 'error', code: 'outbox_failed', message: String(error) });
  }

  // In.

  #onWelcome(/** @type {Message} */ message) {
    this.user = message.user;
    this.session = message.session;
    this.#emit('welcome', message);
    this.#held.clear();
    for (const waiting of this.#requests.values()) {
      const { type, roomId, id } = waiting.message;
      // A new connection is only where it says.
      if (type === 'leave_room') this.#receive({ type: 'left', roomId, id });
      else this.#transmit(waiting);
    }
    if (this.#isLong) for (const roomId of this.#joined) this.#joinLate(roomId);
    if (!this.#isRestoring) this.#transmitAll();
    this.#findBroadcasts();
    this.#beginRestoring();
    this.#beginRestoring = () => {};
  }

  /** Joins a room that the address had no space for, if need be later: they are many, and the server limits their rate. */
  async #joinLate(/** @type {string} */ roomId) {
    if (!this.#joined.has(roomId) || this.#isAskedFor(roomId)) return;
    try {
      await this.#request({ type: 'join_room', roomId, since: this.position(roomId) });
    } catch (/** @type {any} */ error) {
      const { code, message } = error;
      if (code === 'rate_limited' || code === 'queue_full') after(JOIN_PAUSE_MS, () => this.#joinLate(roomId));
      else if (code !== 'left' && code !== 'closed') this.#emit('error', { type: 'error', code, message, roomId });
    }
  }

  /** Rooms say in `joined` where they are; to miss no broadcast while we are away, we ask once. */
  async #findBroadcasts() {
    if (this.#isFindingBroadcasts || this.#cursors.has(BROADCASTS)) return;
    this.#isFindingBroadcasts = true;
    const { position } = await this.history(BROADCASTS, { limit: 1 }).catch(() => ({ position: '' }));
    this.#isFindingBroadcasts = false;
    if (!this.#cursors.has(BROADCASTS)) this.#startFrom(BROADCASTS, position);
  }

  #receive(/** @type {Message} */ message) {
    switch (message.type) {
      case 'room_msg':
      case 'private_msg':
      case 'broadcast':
      case 'gap':
      case 'joined':
        return this.#belongsToHistory(message) || this.#hold(message) || this.#read(message);
      case 'ack':
        return this.#onAck(message);
      case 'error':
        return this.#onError(message);
      case 'left':
        this.#held.delete(message.roomId);
        this.#cursors.delete(message.roomId);
        this.#cancelJoins(message.roomId, Number(message.id));
        break;
    }
    this.#answer(message);
    this.#emit(message.type, message);
  }

  /** What is missing in a page of history comes before it, and is given with it. */
  #belongsToHistory(/** @type {Message} */ { type, id, from, to, reason }) {
    const waiting = type === 'gap' ? this.#requests.get(id) : undefined;
    if (waiting !== undefined) waiting.gap = { from, to, reason };
    return waiting !== undefined;
  }

  /** @returns {string} */
  #logOf(/** @type {Message} */ message) {
    if (message.type === 'private_msg') return `@${this.user}`;
    return message.type === 'broadcast' ? BROADCASTS : message.roomId;
  }

  /**
   * After a reconnect, or where answers have a way of their own, something we said may come before its ack, and our name alone
   * does not tell it from what we said elsewhere. So it waits for the ack of the oldest message that it can be, and what is
   * behind it in the log with it.
   */
  #hold(/** @type {Message} */ message) {
    const log = this.#logOf(message);
    let held = this.#held.get(log);
    if (held === undefined) {
      const behind = this.#mayBe(message, log);
      if (behind === undefined) return false;
      this.#held.set(log, (held = { behind, messages: [] }));
    }
    if (held.messages.push(message) > HELD_MAX) {
      this.#held.delete(log);
      for (const each of held.messages) this.#read(each);
    }
    return true;
  }

  /** The `seq` of the oldest unacknowledged message that this one may be. Ours keep their order, but for what was delayed. */
  #mayBe(/** @type {Message} */ { type, from, epoch, offset }, /** @type {string} */ log) {
    if (from !== this.user || type === 'private_msg') return;
    const isPast = this.#cursors.get(log)?.isBeforeOurs(epoch, offset);
    for (const [seq, { sentAt, isDelayed, message }] of this.#unacked) if (sentAt !== undefined && logTo(message) === log && (!isPast || isDelayed !== undefined)) return seq;
  }

  #release(/** @type {string} */ log) {
    const held = this.#held.get(log);
    this.#held.delete(log);
    for (const message of held?.messages ?? []) this.#receive(message);
  }

  #read(/** @type {Message} */ message) {
    if (message.type === 'joined') return this.#onJoined(message);
    if (message.type === 'gap') return this.#onGap(message);
    const log = this.#logOf(message);
    const cursor = this.#cursors.get(log);
    const { epoch, offset } = message;
    // After a reconnect something may come again, or be our own that was acknowledged.
    if (cursor?.has(epoch, offset)) return;
    if (cursor !== undefined) cursor.read(epoch, offset);
    else this.#cursors.set(log, new Cursor(epoch, offset));
    this.#emit(message.type, message);
  }

  #onJoined(/** @type {Message} */ message) {
    const { roomId, position } = message;
    const before = this.position(roomId);
    this.#skipTo(roomId, position);
    const now = before && this.position(roomId);
    this.#answer(message);
    this.#emit('joined', message);
    if (before !== now) this.#tellGap({ type: 'gap', roomId, from: before, to: now, reason: 'unknown' });
  }

  #onGap(/** @type {Message} */ message) {
    this.#skipTo(message.roomId, message.to);
    this.#tellGap(message);
  }

  #skipTo(/** @type {string} */ log, /** @type {string} */ position) {
    const to = Cursor.parse(position);
    const cursor = this.#cursors.get(log);
    if (to !== null && cursor !== undefined) cursor.read(to.epoch, to.offset);
    else this.#startFrom(log, position);
  }

  #tellGap(/** @type {Message} */ message) {
    const [before, after] = [Cursor.parse(message.from), Cursor.parse(message.to)];
    const count = before !== null && before.epoch === after?.epoch ? after.offset - before.offset : null;
    this.#emit('gap', { ...message, count });
  }

  #onAck(/** @type {Message} */ message) {
    const waiting = this.#settle(message.seq);
    if (!message.roomId.startsWith('@')) this.#cursors.get(message.roomId)?.wrote(message.epoch, message.offset, message.dup);
    this.#onAnswered(waiting);
    waiting?.resolve(message);
    this.#emit('ack', message);
    this.#settled(message.seq);
  }

  #onError(/** @type {Message} */ message) {
    const delayed = this.#unacked.get(message.seq);
    if (message.code === UNAVAILABLE && delayed !== undefined) return this.#delay(delayed, message);
    const waiting = this.#settle(message.seq) ?? this.#takeRequest(message.id);
    if (waiting) waiting.reject(new TidewireError(message.code, message.message));
    else this.#emit('error', message);
    this.#settled(message.seq);
  }

  /** The server may have kept it after all: with its `seq` it is kept once. The oldest goes first, and alone. */
  #delay(/** @type {Waiting} */ waiting, /** @type {Message} */ message) {
    waiting.isDelayed = true;
    this.#emit('delayed', message);
    this.#sendingAgain ??= after((1 + Math.random()) * backoff(Math.min((this.#delays += 1), DELAYS_MAX)), () => {
      this.#sendingAgain = undefined;
      for (const oldest of this.#unacked.values()) if (oldest.isDelayed) return this.#transmit(oldest);
    });
  }

  /** Sends what is unacknowledged, or of that only what waits because the server could not keep it. */
  #transmitAll(isDelayedOnly = false) {
    this.#delays = 0;
    for (const each of this.#unacked.values()) if (each.isDelayed || !isDelayedOnly) this.#transmit(each);
  }

  #answer(/** @type {Message} */ message) {
    const waiting = this.#takeRequest(message.id);
    if (message.type !== 'joined') this.#onAnswered(waiting);
    if (waiting?.gap !== undefined) message.gap = waiting.gap;
    waiting?.resolve(message);
  }

  #onAnswered(/** @type {Waiting | undefined} */ waiting) {
    if (waiting?.sentAt) this.#emit('latency', (this.#latency = Date.now() - waiting.sentAt));
  }

  /** Nobody waits for this message any more: it is kept, or was refused. */
  #settle(/** @type {Seq} */ seq) {
    const waiting = this.#unacked.get(seq);
    if (waiting === undefined) return;
    this.#unackedChars -= waiting.text.length;
    this.#unacked.delete(seq);
    this.#options.outbox?.remove(this.#kept(waiting.message)).catch((error) => this.#onOutboxError(error));
    return waiting;
  }

  /** What waited for that may go on. */
  #settled(/** @type {Seq} */ seq) {
    if (this.#delays > 0) this.#transmitAll(true);
    for (const [log, { behind }] of this.#held) if (behind === seq) this.#release(log);
    if (this.#isFull && this.#unacked.size <= (this.#options.queueMax ?? QUEUE_MAX) / 2) {
      this.#isFull = false;
      this.#emit('drain', { unacked: this.#unacked.size });
    }
  }

  #takeRequest(/** @type {string} */ id) {
    const waiting = this.#requests.get(id);
    this.#requests.delete(id);
    return waiting;
  }

  #emit(/** @type {string} */ type, /** @type {any} */ detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
    this.#rooms.get(detail?.roomId)?.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** One room of a client: its methods without the `roomId`, and its events alone. */
export class Room extends Emitter {
  /** @type {Client} */ #client;

  constructor(/** @type {Client} */ client, /** @type {string} */ id) {
    super();
    this.#client = client;
    this.id = id;
  }

  join(/** @type {string | undefined} */ since = undefined) {
    return this.#client.join(this.id, since);
  }

  leave() {
    return this.#client.leave(this.id);
  }

  send(/** @type {any} */ content, /** @type {Seq | undefined} */ seq = undefined) {
    return this.#client.send(this.id, content, seq);
  }

  typing() {
    this.#client.typing(this.id);
  }

  presence() {
    return this.#client.presence(this.id);
  }

  get position() {
    return this.#client.position(this.id);
  }

  /**
   * Yields what was said, a page at a time as it is needed: with `since` from there on, else from the newest (or from `before`)
   * back to the oldest that is kept. `limit` is the size of a page.
   *
   * @param {Part} [part]
   * @returns {AsyncGenerator<Entry, void, void>}
   */
  async *history({ since, before, limit = HISTORY_PAGE } = {}) {
    const isForward = since !== undefined;
    for (;;) {
      const page = await this.#client.history(this.id, isForward ? { since, limit } : { before, limit });
      const { messages } = page;
      yield* isForward ? messages : messages.toReversed();
      if (!page.more || messages.length === 0) return;
      if (isForward) since = page.position;
      else before = `${messages[0].epoch}-${messages[0].offset}`;
    }
  }
}

/**
 * How far one log has been read. Messages of others arrive in order, so the newest of them stands for all before it;
 * an ack may overtake them, so what we wrote counts only once everything before it has arrived.
 */
class Cursor {
  /** @type {Set<number>} */ #ahead = new Set();
  /** The last entry that we wrote. */
  #written = 0;

  constructor(/** @type {string | number} */ epoch, /** @type {number} */ offset) {
    this.epoch = String(epoch);
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
  has(/** @type {string | number} */ epoch, /** @type {number} */ offset) {
    return String(epoch) === this.epoch && (offset <= this.offset || this.#ahead.has(offset));
  }

  /** Whether an entry is known, or comes before one that we wrote and so is not ours to come. */
  isBeforeOurs(/** @type {string | number} */ epoch, /** @type {number} */ offset) {
    return this.has(epoch, offset) || (String(epoch) === this.epoch && offset <= this.#written);
  }

  read(/** @type {string | number} */ epoch, /** @type {number} */ offset) {
    this.#enter(epoch);
    this.#reach(Math.max(this.offset, offset));
  }

  wrote(/** @type {string | number} */ epoch, /** @type {number} */ offset, isDup = false) {
    // An old place may be of an epoch that is over.
    if (isDup && String(epoch) !== this.epoch) return;
    this.#enter(epoch);
    this.#written = Math.max(this.#written, offset);
    if (offset > this.offset) this.#ahead.add(offset);
    this.#reach(this.offset);
  }

  #enter(/** @type {string | number} */ epoch) {
    if (String(epoch) === this.epoch) return;
    this.epoch = String(epoch);
    this.offset = this.#written = 0;
    this.#ahead.clear();
  }

  #reach(/** @type {number} */ offset) {
    while (this.#ahead.has(offset + 1)) offset += 1;
    this.offset = offset;
    for (const own of this.#ahead) if (own <= offset) this.#ahead.delete(own);
  }
}

/** Half of the first retry delays are below a quarter of a second: most drops are short. */
const BACKOFF_BASE_MS = 500;
const BACKOFF_CAP_MS = 30_000;
/** A connection that lived this long was a good one, and the back-off starts again from its base. */
const STEADY_MS = 5_000;
/** From opening to `welcome`; what a proxy swallows is given up after that, and the next transport tried. */
const CONNECT_MAX_MS = 8_000;
/** How long a connection may take to prove itself after the network or the user came back. */
const PROBE_MS = 5_000;
/** The longest wait that a server may ask for with `reconnect`. */
const COME_BACK_MAX_MS = 10 * 60_000;
const HEARTBEAT_DEFAULT_S = 30;
/** Attempts at a transport that has worked before, in a row, before a lesser one is tried. */
const TRIES_MAX = 2;
/** When a better transport is tried again, the first time; each time later it is twice as long. */
const CLIMB_MS = 30_000;
const CLIMB_CAP_MS = 10 * 60_000;
/** How long the transport that has worked is remembered beyond the page. */
const REMEMBER_MS = 10 * 60_000;
const REMEMBER_KEY = 'tidewire.transport';
/** A token is fetched anew this long before it ends, or when nine tenths of its time are over. */
const TOKEN_LEAD_MS = 60_000;
const TOKEN_RETRY_MS = 5_000;
/** The longest time that a timer can wait; longer ones are looked at again. */
const TIMER_MAX_MS = 24 * 3_600_000;
/** The close code of a connection whose session was taken over by a newer one. */
const CODE_REPLACED = 4003;
/** With this we close a connection on which nothing was heard. */
const CODE_HEARTBEAT_LOST = 4009;
const CODE_LOST = 1006;

/** @typedef {ReturnType<typeof after>} Timer */

/**
 * What a line asks and tells: `query()` is what an address says of us, of where we were and of how far we have read.
 *
 * @typedef {object} Host
 * @property {() => URLSearchParams} query
 * @property {() => string} user
 * @property {() => string} session
 * @property {(message: Message) => void} onWelcome before `state` says `live`
 * @property {(message: Message) => void} onMessage
 * @property {(detail: StateDetail) => void} onState
 */

/** @typedef {{ send: (text: string) => void, retoken: () => void, close: (code: number) => void }} Link */
/** @typedef {{ onHeard: () => void, onMessage: (message: Message) => void, onLost: (code: number) => void }} Ear */

/**
 * Keeps one connection up: chooses the transport, waits before it tries again, notices when a connection is dead.
 *
 *                        welcome                  4003
 *         ┌ connecting ─────────────→ live ─────────────────→ replaced
 *         │     │ lost                │  ↑ welcome                │
 *         │     ↓                     ↓  │                        │ reconnect()
 *         │     └──────────────→ reconnecting ←───────────────────┘
 *         └── close(), from anywhere → closed
 */
class Line {
  /** @type {URL[]} */ #urls;
  /** Which of them. */
  #place;
  /** @type {Options} */ #options;
  /** @type {Host} */ #host;
  /** @type {Transport[]} */ #transports;
  /** Which of them. */
  #rank;
  /** Which of them has worked last. */
  #worked = -1;
  /** @type {Link | null} */ #link = null;
  /** @type {State} */ #state = 'connecting';
  /** @type {Timer | undefined} waits for the next attempt, `welcome`, or a sign of life */
  #timer;
  /** @type {Timer | undefined} waits to try a better transport */
  #climbing;
  /** @type {Timer | undefined} waits to fetch the next token */
  #refreshing;
  #climbMs = CLIMB_MS;
  /** Ends an attempt at a better transport. */
  #endProbe = () => {};
  #token = '';
  /** @type {number | null} */ #retryAt = null;
  #attempts = 0;
  /** Attempts in a row that did not come to `welcome`. */
  #failures = 0;
  #liveSince = 0;
  /** Until when (Unix ms) the server asked us to stay away. */
  #awayUntil = 0;
  #heartbeatMs = HEARTBEAT_DEFAULT_S * 1000;
  #heardAt = 0;
  /** Whether a sign of life has been asked for. */
  #isProbing = false;
  #listeners = new AbortController();

  constructor(/** @type {URL[]} */ urls, /** @type {Options} */ options, /** @type {Host} */ host) {
    this.#urls = urls;
    // Were it the first for all, that would have all clients.
    this.#place = Math.floor(Math.random() * urls.length);
    this.#options = options;
    this.#host = host;
    const { transports = ['websocket', 'sse', 'poll'] } = options;
    const hasWebSocket = options.WebSocket ?? globalThis.WebSocket;
    this.#transports = transports.filter((transport) => transport !== 'websocket' || hasWebSocket);
    this.#rank = Math.max(0, this.#transports.indexOf(recalledTransport()));
    this.#listenForReturn();
  }

  get state() {
    return this.#state;
  }

  get retryAt() {
    return this.#retryAt;
  }

  get transport() {
    return this.#transports[this.#rank];
  }

  /** Sends a text, if the connection is live; returns whether it is. */
  send(/** @type {string} */ text) {
    if (this.#state !== 'live') return false;
    this.#link?.send(text);
    return true;
  }

  reconnect() {
    if (this.#link === null && this.#state !== 'closed') this.open();
  }

  close() {
    this.#link?.close(1000);
    this.#forgetLink();
    this.#refreshing?.cancel();
    this.#listeners.abort();
    this.#become('closed', 1000);
  }

  async open() {
    this.#timer?.cancel();
    this.#retryAt = null;
    this.#become(this.#state === 'connecting' ? 'connecting' : 'reconnecting');
    if (this.state === 'closed') return;
    const opening = (this.#link = { send() {}, retoken() {}, close() {} });
    this.#timer = after(CONNECT_MAX_MS, () => this.#giveUp());
    // Without a function to wait for, the connection is opened before this returns.
    if (typeof this.#options.token !== 'function') this.#token = this.#options.token ?? '';
    else if (!(await this.#fetchToken())) return this.#link === opening && this.#tryAgain(this.#retryDelay(), CODE_LOST);
    if (this.#link === opening) this.#link = this.#openLink(this.transport, (link) => this.#ear(link));
  }

  /** @returns {Link} */
  #openLink(/** @type {Transport} */ transport, /** @type {(link: () => Link) => Ear} */ earOf, isProbe = false) {
    const query = () => (isProbe ? new URLSearchParams({ session: randomSession() }) : this.#host.query());
    /** @type {Link} */ let link;
    const ear = earOf(() => link);
    /** @type {Way} */
    const way = { ...this.#access(), host: this.#host, query };
    link = transport === 'websocket' ? webSocketLink(way, ear) : new HttpLink(way, ear, transport);
    return link;
  }

  /** @returns {Access} */
  #access() {
    return { url: this.#urls[this.#place % this.#urls.length], options: this.#options, token: () => this.#token };
  }

  /** A link that we gave up may still speak; only the current one is listened to. @returns {Ear} */
  #ear(/** @type {() => Link} */ link) {
    const isOurs = () => link() === this.#link;
    return {
      onHeard: () => isOurs() && this.#state === 'live' && this.#heard(),
      onMessage: (message) => isOurs() && this.#receive(message),
      onLost: (code) => isOurs() && this.#lost(code),
    };
  }

  #receive(/** @type {Message} */ message) {
    if (message.type === 'welcome' && this.#state !== 'live') return this.#onWelcome(message);
    if (message.type === 'reconnect') {
      this.#awayUntil = Date.now() + Math.min(Math.max(Number(message.after) || 0, 0), COME_BACK_MAX_MS);
    }
    this.#host.onMessage(message);
  }

  #onWelcome(/** @type {Message} */ message) {
    this.#heartbeatMs = (message.heartbeat || HEARTBEAT_DEFAULT_S) * 1000;
    this.#awayUntil = 0;
    this.#failures = 0;
    this.#worked = this.#rank;
    rememberTransport(this.transport);
    this.#climbLater();
    // Before anyone hears that we are live: what they send then belongs behind what was already waiting.
    this.#state = 'live';
    this.#host.onWelcome(message);
    if (this.#link === null) return;
    this.#become('live');
    if (this.#link === null) return;
    this.#heardAt = Date.now();
    this.#watch();
  }

  #giveUp() {
    this.#link?.close(CODE_HEARTBEAT_LOST);
    this.#lost(CODE_HEARTBEAT_LOST);
  }

  #lost(/** @type {number} */ code) {
    const wasLive = this.#state === 'live';
    const wasSteady = wasLive && Date.now() - this.#liveSince > STEADY_MS;
    // Two clients that both come back would replace each other for ever. One that has just come may have been replaced by a
    // request of its own that was still on its way.
    if (code === CODE_REPLACED && wasSteady) {
      this.#forgetLink();
      this.#become('replaced', code);
      return;
    }
    if (wasSteady) this.#attempts = 0;
    this.#place += 1;
    this.#tryAgain(!wasLive && this.#fallsBack(code) ? 0 : this.#retryDelay(), code);
  }

  #tryAgain(/** @type {number} */ delay, /** @type {number} */ code) {
    this.#forgetLink();
    this.#retryAt = Date.now() + delay;
    this.#timer = after(delay, () => this.open());
    this.#become('reconnecting', code);
  }

  /** After an attempt that failed: goes to the next lesser transport, or from the last to the best. Whether it is to be tried at once. */
  #fallsBack(/** @type {number} */ code) {
    this.#failures += 1;
    // What has worked is tried again if it was refused; if it hung, enough time is lost.
    const tries = this.#rank === this.#worked && code !== CODE_HEARTBEAT_LOST ? TRIES_MAX : 1;
    // It may be the fault of one server that is away.
    if (this.#failures < Math.max(tries, this.#urls.length)) return false;
    this.#failures = 0;
    this.#rank = (this.#rank + 1) % this.#transports.length;
    return this.#rank > 0;
  }

  #forgetLink() {
    this.#timer?.cancel();
    this.#climbing?.cancel();
    this.#endProbe();
    this.#link = null;
    this.#retryAt = null;
  }

  /** Exponential back-off with full jitter, unless the server has said when to come back. */
  #retryDelay() {
    const asked = this.#awayUntil - Date.now();
    if (asked > 0) return asked;
    this.#attempts += 1;
    return Math.random() * backoff(this.#attempts - 1);
  }

  #become(/** @type {State} */ state, /** @type {number | null} */ code = null) {
    this.#state = state;
    if (state === 'live') this.#liveSince = Date.now();
    this.#host.onState({ state, transport: this.transport, retryAt: this.#retryAt, code });
  }

  // Better transports.

  #climbLater() {
    this.#climbing?.cancel();
    if (this.#rank === 0) return;
    this.#climbing = after(this.#climbMs, () => this.#climb(0));
    this.#climbMs = Math.min(CLIMB_CAP_MS, this.#climbMs * 2);
  }

  /** Tries a better transport in a session of its own, which disturbs nobody, and changes to it when it works. */
  #climb(/** @type {number} */ rank) {
    /** @type {Link} */ let probe;
    let isOver = false;
    const end = (/** @type {() => void} */ next) => {
      if (isOver) return;
      isOver = true;
      this.#climbing?.cancel();
      this.#endProbe = () => {};
      probe.close(1000);
      if (this.#state === 'live' && this.#rank > rank) next();
    };
    const failed = () => end(() => (rank + 1 < this.#rank ? this.#climb(rank + 1) : this.#climbLater()));
    const ear = {
      onHeard: () => {},
      onMessage: (/** @type {Message} */ { type }) => type === 'welcome' && end(() => this.#changeTo(rank)),
      onLost: failed,
    };
    probe = this.#openLink(this.#transports[rank], () => ear, true);
    this.#endProbe = () => end(() => {});
    this.#climbing = after(CONNECT_MAX_MS, failed);
  }

  #changeTo(/** @type {number} */ rank) {
    const older = this.#link;
    this.#rank = rank;
    this.#climbMs = CLIMB_MS;
    this.#attempts = 0;
    this.#forgetLink();
    this.open();
    // The newer one takes the session over: nobody sees us leave.
    older?.close(1000);
  }

  // Signs of life.

  /** Takes the return of the network or of the user as the moment to try again, or to check. */
  #listenForReturn() {
    const { signal } = this.#listeners;
    const { window, document } = globalThis;
    for (const type of ['online', 'pageshow']) window?.addEventListener(type, () => this.#hurry(), { signal });
    for (const type of ['visibilitychange', 'resume']) {
      document?.addEventListener(type, () => document.visibilityState === 'visible' && this.#hurry(), { signal });
    }
  }

  #hurry() {
    if (this.#state === 'live') {
      this.#probe(PROBE_MS);
    } else if (this.#retryAt !== null && Date.now() >= this.#awayUntil) {
      this.open();
    }
  }

  #heard() {
    this.#heardAt = Date.now();
    if (this.#isProbing) this.#watch();
  }

  /** Waits for silence. A browser does not show us the server's pings, so silence is asked about. */
  #watch() {
    this.#isProbing = false;
    this.#timer?.cancel();
    const silence = Date.now() - this.#heardAt;
    // One timer for however many messages come meanwhile; a clock that was set back makes it no longer.
    if (silence >= this.#heartbeatMs) this.#probe(this.#heartbeatMs / 2);
    else this.#timer = after(Math.min(this.#heartbeatMs, this.#heartbeatMs - silence), () => this.#watch());
  }

  // The limit runs from the question, not from what was heard last: after a sleep a timer comes late.
  #probe(/** @type {number} */ waitMs) {
    this.#isProbing = true;
    this.send('{"type":"heartbeat"}');
    this.#timer?.cancel();
    this.#timer = after(waitMs, () => this.#giveUp());
  }

  // Tokens.

  async #fetchToken() {
    const fetchToken = /** @type {() => string | Promise<string>} */ (this.#options.token);
    try {
      this.#token = await fetchToken();
      this.#refreshIn(lifetimeOf(this.#token));
      return true;
    } catch (error) {
      this.#host.onMessage({ type: 'error', code: 'token_failed', message: String(error) });
      return false;
    }
  }

  #refreshIn(/** @type {number} */ lifetime) {
    this.#refreshing?.cancel();
    if (Number.isNaN(lifetime)) return;
    const delay = Math.max(TOKEN_RETRY_MS, lifetime - Math.min(TOKEN_LEAD_MS, lifetime / 10));
    this.#refreshing = after(Math.min(delay, TIMER_MAX_MS), () =>
      delay > TIMER_MAX_MS ? this.#refreshIn(lifetime - TIMER_MAX_MS) : this.#refresh(),
    );
  }

  async #refresh() {
    // While we are away the next attempt fetches one.
    if (this.#state !== 'live') return;
    if (await this.#fetchToken()) this.#link?.retoken();
    else if (this.#state === 'live') this.#refreshing = after(TOKEN_RETRY_MS, () => this.#refresh());
  }

  // Without a link.

  /**
   * Posts what an earlier page left until it is answered; resolves with its `ack`, or with an `error`. `onDelayed` is called whenever
   * it could not be kept, `onFailed` whenever it could not be posted.
   *
   * @returns {Promise<Message>}
   */
  async post(
    /** @type {Kept} */ { message, user, session }, /** @type {(error: Message) => void} */ onDelayed, /** @type {() => void} */ onFailed,
  ) {
    for (let tries = 0; this.#state !== 'closed'; tries += 1) {
      try {
        const answer = await publish(this.#access(), message, user, session);
        if (answer.code !== UNAVAILABLE) return answer;
        onDelayed(answer);
      } catch {
        onFailed();
      }
      await pause(backoff(tries));
    }
    throw closedError();
  }
}

/**
 * What a link is opened for.
 *
 * @typedef {object} Way
 * @property {URL} url
 * @property {Options} options
 * @property {Host} host
 * @property {() => URLSearchParams} query
 * @property {() => string} token
 */
/** @typedef {Pick<Way, 'url' | 'options' | 'token'>} Access */

/** What we speak, and the server answers; nobody answers with a token. */
const PROTOCOL = 'tidewire.v1.json';

/** @returns {Link} */
function webSocketLink(/** @type {Way} */ way, /** @type {Ear} */ ear) {
  const address = new URL(way.url);
  address.protocol = address.protocol.replace(/^http/, 'ws');
  for (const [name, value] of way.query()) address.searchParams.append(name, value);
  // Addresses are written into logs on the way, and a browser lets a page set no header: a subprotocol is left.
  const protocols = way.token() === '' ? [] : [PROTOCOL, `tidewire.token.${way.token()}`];
  const Socket = way.options.WebSocket ?? globalThis.WebSocket;
  const socket = new Socket(address.href, protocols);
  socket.onmessage = ({ data }) => {
    ear.onHeard();
    const message = parse(data);
    if (message !== null) ear.onMessage(message);
  };
  socket.onclose = ({ code }) => ear.onLost(code);
  // Without a listener, `ws` would throw; `onclose` always follows and says it all.
  socket.onerror = () => {};
  return {
    send: (text) => socket.send(text),
    retoken: () => socket.send(JSON.stringify({ type: 'hello', token: way.token() })),
    close: (code) => socket.close(code),
  };
}

/** What one answer of an event stream or of a poll may have. */
const ANSWER_CHARS_MAX = 16 << 20;
/** How long a poll waits: below the interval of any heartbeat that makes sense. */
const POLL_S = 20;
/** A poll that begins is answered soon, so that it is known that it works. */
const FIRST_POLL_S = 1;
/** Attempts at a request before the connection counts as lost, and what is between them. */
const REQUEST_TRIES_MAX = 3;
const REQUEST_PAUSE_MS = 200;
/** The server answers within 30 s. */
const REQUEST_MAX_MS = 35_000;
/** Polls are not asked for faster than that, whatever they are answered. */
const POLL_PAUSE_MS = 50;

/**
 * The chat over HTTP: what we hear comes by an event stream or by polls, what we say goes by requests, one after the other. A
 * new stream is opened before the older one is closed (to join, to leave, to see whether it lives), so that others do not see us go.
 *
 * @implements {Link}
 */
class HttpLink {
  /** @type {Way} */ #way;
  /** @type {Ear} */ #ear;
  /** @type {'sse' | 'poll'} */ #transport;
  /** @type {Message[]} what is to be posted */ #queue = [];
  #isPosting = false;
  /** @type {AbortController | null} the stream that is listened to */ #stream = null;
  /** @type {AbortController | null} the one that takes over as soon as it speaks */ #next = null;
  /** Where the last poll ended: it says so also of logs in which nothing has come yet. */
  #polled = '';
  #isReopening = false;
  #isClosed = false;
  #isWelcome = false;
  /** @type {Map<string, Message[]>} rooms that are being joined */ #joining = new Map();

  constructor(/** @type {Way} */ way, /** @type {Ear} */ ear, /** @type {'sse' | 'poll'} */ transport) {
    this.#way = way;
    this.#ear = ear;
    this.#transport = transport;
    this.#reopen();
  }

  send(/** @type {string} */ text) {
    const message = JSON.parse(text);
    switch (message.type) {
      case 'join_room':
        this.#joining.set(message.roomId, [...(this.#joining.get(message.roomId) ?? []), message]);
        return this.#reopen();
      case 'leave_room':
        this.#failJoins([message.roomId], { code: 'left', message: 'The room was left.' });
        this.#ear.onMessage({ type: 'left', roomId: message.roomId, id: message.id });
        return this.#reopen();
      case 'heartbeat':
        return this.#reopen();
      case 'history':
      case 'presence':
        this.#ask(message);
        return;
      case 'typing':
        this.#type(message);
        return;
      default:
        this.#queue.push(message);
        this.#postAll();
    }
  }

  retoken() {
    this.#reopen();
  }

  close() {
    this.#isClosed = true;
    this.#stream?.abort();
    this.#next?.abort();
    this.#stream = this.#next = null;
    this.#queue = [];
    this.#ear = { onHeard() {}, onMessage() {}, onLost() {} };
  }

  #lose(/** @type {number} */ code) {
    const ear = this.#ear;
    this.close();
    ear.onLost(code);
  }

  // Down.

  /** At the end of this turn, so that what is asked for together is asked once. */
  async #reopen() {
    if (this.#isReopening) return;
    this.#isReopening = true;
    await null;
    this.#isReopening = false;
    if (this.#isClosed) return;
    this.#next?.abort();
    const next = (this.#next = new AbortController());
    try {
      await (this.#transport === 'sse' ? this.#listen(next) : this.#poll(next));
    } catch {
      // Aborted, or the network failed: it is over either way.
    }
    if (next === this.#next || (next === this.#stream && this.#next === null)) this.#lose(CODE_LOST);
  }

  #target() {
    const query = this.#way.query();
    const since = [query.get('since')];
    const ofBroadcasts = /(^|,)(\*:[^,]*)/;
    if (!ofBroadcasts.test(since[0] ?? '')) since.push(ofBroadcasts.exec(this.#polled)?.[2] ?? null);
    for (const [roomId, joins] of this.#joining) {
      const from = joins.findLast(({ since }) => since !== undefined)?.since;
      query.append('room', roomId);
      if (from !== undefined) since.push(`${encodeURIComponent(roomId)}:${from}`);
    }
    if (since.some(Boolean)) query.set('since', since.filter(Boolean).join(','));
    return query;
  }

  async #listen(/** @type {AbortController} */ own) {
    const response = await request(this.#way, 'sse', { query: this.#target(), signal: own.signal });
    if (!response.ok || response.body === null) return this.#refused(response.status, await answerOf(response));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done || rest.length > ANSWER_CHARS_MAX) return;
      if (own === this.#stream) this.#ear.onHeard();
      const events = (rest + value).split('\n\n');
      rest = events.pop() ?? '';
      for (const event of events) {
        const data = event.split('\n').filter((line) => line.startsWith('data:'));
        if (data.length > 0) this.#hear(own, parse(data.map((line) => line.slice(5)).join('\n')));
      }
    }
  }

  async #poll(/** @type {AbortController} */ own) {
    // While another takes over, this one asks no more: it would take the session back.
    for (let seconds = FIRST_POLL_S; own === (this.#next ?? this.#stream); seconds = POLL_S) {
      const query = this.#target();
      query.set('timeout', String(seconds));
      const { response, answer } = await insist(async () => {
        const response = await request(this.#way, 'poll', { query, signal: own.signal });
        return { response, answer: await answerOf(response) };
      }, own.signal);
      if (!response.ok) return this.#refused(response.status, answer);
      const { messages, position } = answer;
      if (own === (this.#next ?? this.#stream)) this.#polled = position;
      if (own === this.#stream) this.#ear.onHeard();
      for (const message of messages) this.#hear(own, message);
      await pause(POLL_PAUSE_MS);
    }
  }

  #refused(/** @type {number} */ status, /** @type {{ error: object }} */ { error }) {
    if (this.#stream === null || this.#joining.size === 0 || status >= 500) return this.#ear.onMessage({ type: 'error', ...error });
    // It is for the rooms that are new; the older stream goes on.
    this.#next = null;
    this.#failJoins([...this.#joining.keys()], error);
  }

  #failJoins(/** @type {string[]} */ rooms, /** @type {object} */ error) {
    for (const roomId of rooms) {
      const joins = this.#joining.get(roomId) ?? [];
      this.#joining.delete(roomId);
      for (const { id } of joins) this.#ear.onMessage({ type: 'error', id, ...error });
    }
  }

  #hear(/** @type {AbortController} */ own, /** @type {Message | null} */ message) {
    if (message === null) return;
    if (own === this.#next) {
      // The first word of the next one ends the older.
      this.#stream?.abort();
      this.#stream = own;
      this.#next = null;
    }
    if (own !== this.#stream) return;
    if (message.type === 'close') {
      // The server knows of the next one before we do.
      if (this.#next === null) this.#lose(message.code);
      return;
    }
    if (message.type === 'welcome' && this.#isWelcome) return this.#ear.onHeard();
    if (message.type === 'welcome') this.#isWelcome = true;
    const joins = message.type === 'joined' ? this.#joining.get(message.roomId) : undefined;
    if (joins === undefined) return this.#ear.onMessage(message);
    this.#joining.delete(message.roomId);
    for (const { id } of joins) this.#ear.onMessage({ ...message, id });
  }

  // Up.

  async #postAll() {
    if (this.#isPosting) return;
    this.#isPosting = true;
    const { host } = this.#way;
    for (let message; (message = this.#queue[0]); ) {
      try {
        const answer = await insist(() => publish(this.#way, message, host.user(), host.session()));
        this.#queue.shift();
        this.#ear.onMessage(answer);
      } catch {
        this.#lose(CODE_LOST);
      }
    }
    this.#isPosting = false;
  }

  async #ask(/** @type {Message} */ { type, id, roomId, since, before, limit }) {
    const query = new URLSearchParams(type === 'history' ? { userId: this.#way.host.user() } : {});
    for (const [name, value] of Object.entries({ since, before, limit })) if (value !== undefined) query.set(name, value);
    try {
      const [response, answer] = await insist(async () => {
        const response = await request(this.#way, pathOf(roomId, type), { query });
        return [response, await response.json()];
      });
      this.#ear.onMessage(response.ok ? { ...answer, type, id, roomId } : { type: 'error', id, ...answer.error });
    } catch {
      this.#lose(CODE_LOST);
    }
  }

  #type(/** @type {Message} */ { roomId }) {
    const body = { from: this.#way.host.user() };
    request(this.#way, `api/rooms/${encodeURIComponent(roomId)}/typing`, { body }).catch(() => {});
  }
}

/**
 * Tries a request again: one that fails says little about the next, which may go over another connection.
 *
 * @template T
 * @param {() => Promise<T>} act
 * @param {AbortSignal} [signal]
 */
async function insist(act, signal) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await act();
    } catch (error) {
      if (tries === REQUEST_TRIES_MAX || signal?.aborted) throw error;
      await pause(tries * REQUEST_PAUSE_MS);
    }
  }
}

/** The JSON of an answer; that of a proxy may be none. @returns {Promise<any>} */
function answerOf(/** @type {Response} */ response) {
  if (response.ok) return response.json();
  return response.json().catch(() => ({ error: { code: 'http_error', message: `HTTP status ${response.status}` } }));
}

/** Where a log's messages are, and who is in a room. */
function pathOf(/** @type {string} */ log, what = 'history') {
  if (log === BROADCASTS) return 'api/broadcast';
  const folder = log.startsWith('@') ? `users/${encodeURIComponent(log.slice(1))}` : `rooms/${encodeURIComponent(log)}`;
  return `api/${folder}/${what === 'presence' ? what : 'messages'}`;
}

/** The log that a message goes to. */
function logTo(/** @type {Message} */ { roomId, toUser }) {
  return roomId ?? (toUser === undefined ? BROADCASTS : `@${toUser}`);
}

/**
 * Publishes over HTTP; resolves with an `ack` or an `error`, and fails when nobody could answer.
 *
 * @returns {Promise<Message>}
 */
async function publish(
  /** @type {Access} */ access, /** @type {Message} */ message, /** @type {string | undefined} */ user, /** @type {string} */ session,
) {
  const { content, seq } = message;
  const body = { content, session, seq, from: user || undefined };
  const response = await request(access, pathOf(logTo(message)), { body });
  const answer = await response.json();
  if (response.ok) return { type: 'ack', seq, time: Date.now(), ...answer, dup: answer.dup || undefined };
  const { error } = answer;
  // Overloaded, no answer, an old token: the same again, later.
  if (error?.code !== UNAVAILABLE && ([401, 503, 504].includes(response.status) || !error)) throw new Error();
  return { type: 'error', seq, ...error };
}

/**
 * Asks the server beside whose address ours is: `…/ws` has `…/api` beside it.
 *
 * @param {Access} access
 * @param {string} path
 * @param {{ query?: URLSearchParams, body?: any, signal?: AbortSignal }} what
 */
function request({ url, options, token }, path, { query, body, signal }) {
  const address = new URL(path, url);
  address.protocol = address.protocol.replace(/^ws/, 'http');
  address.search = String(query ?? '');
  /** @type {Record<string, string>} */ const headers = {};
  if (token() !== '') headers.authorization = `Bearer ${token()}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  const method = body === undefined ? 'GET' : 'POST';
  signal ??= AbortSignal.timeout(REQUEST_MAX_MS);
  return (options.fetch ?? fetch)(address, { method, headers, signal, body: body && JSON.stringify(body), cache: 'no-store' });
}

// Timers. A browser lets those of a hidden page come once a minute, those of a worker on time: whichever comes first counts.

/** @type {Map<number, () => void>} */ const waitingFor = new Map();
/** @type {Worker | null | undefined} */ let clock;
let lastTimer = 0;

/** Calls `then` after so many milliseconds, unless it is cancelled. */
function after(/** @type {number} */ ms, /** @type {(value?: any) => void} */ then) {
  const id = (lastTimer += 1);
  const timer = setTimeout(() => ring(id), ms);
  const cancel = () => {
    clearTimeout(timer);
    waitingFor.delete(id);
  };
  waitingFor.set(id, () => {
    cancel();
    then();
  });
  if (ms >= 1_000) workerClock()?.postMessage([id, ms]);
  return { cancel };
}

function pause(/** @type {number} */ ms) {
  return new Promise((resolve) => after(ms, resolve));
}

/** The longest wait before an attempt, after so many. */
function backoff(/** @type {number} */ attempts) {
  return Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** attempts);
}

function ring(/** @type {number} */ id) {
  waitingFor.get(id)?.();
}

function workerClock() {
  if (clock !== undefined || globalThis.document === undefined) return clock;
  try {
    const source = 'onmessage = ({ data: [id, ms] }) => setTimeout(() => postMessage(id), ms)';
    clock = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })));
    clock.onmessage = ({ data }) => ring(data);
  } catch {
    // A page's policy may forbid it; then there are the page's own timers.
    clock = null;
  }
  return clock;
}

// Small things.

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

/** As `Promise.withResolvers`, which Node has from 22 on. @returns {Resolvers} */
function withResolvers() {
  let resolve, reject;
  const promise = new Promise((...both) => ([resolve, reject] = both));
  return /** @type {any} */ ({ promise, resolve, reject });
}

function randomSession() {
  // `randomUUID` exists only in secure contexts; a page over plain http on a LAN is none.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** How long a JWT is still good (ms), or NaN if it does not say. */
function lifetimeOf(/** @type {string} */ token) {
  try {
    const [, payload] = token.split('.');
    return JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/'))).exp * 1000 - Date.now();
  } catch {
    return Number.NaN;
  }
}

/** The transport that worked on the last page, a while ago at most; storage may be forbidden, and then there is none. @returns {any} */
function recalledTransport() {
  try {
    const [transport, at] = localStorage.getItem(REMEMBER_KEY)?.split(' ') ?? [];
    return Date.now() - Number(at) < REMEMBER_MS ? transport : null;
  } catch {
    return null;
  }
}

function rememberTransport(/** @type {Transport} */ transport) {
  try {
    localStorage.setItem(REMEMBER_KEY, `${transport} ${Date.now()}`);
  } catch {
    // Then the next page begins with the best again.
  }
}

function closedError() {
  return new TidewireError('closed', 'The connection was closed.');
}

function queueFullError() {
  return new TidewireError('queue_full', 'Too many messages wait.');
}
