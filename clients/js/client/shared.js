// One connection for all tabs of a browser. `connect` is as in `client.js`; the tabs that name the same server, user and group
// share a client: one of them, which holds a Web Lock, has it and does what the others ask over a BroadcastChannel. When that tab
// goes, another gets the lock, goes on in the same session where the tabs have read to, and is asked again what was not answered.
// Every tab hears each message once, in order, also what another tab said.
//
//     import { connect } from '/client/shared.js';
//     const client = connect('/ws', { user: 'Ada', group: 'main' });

import { Client, Emitter, Room, TidewireError } from '../client.js';

/** @import { Addresses, Events, Message, Options, Part, Seq, State, StateDetail, Transport } from '../client.js' */

/** What a tab asks of the one that has the connection; `isAgain`: it asked another that had it before. */
/** @typedef {{ call: number, tab: string, method: string, args: any[], isAgain?: boolean }} Asked */
/** @typedef {{ method: string, args: any[], promise: Promise<any>, resolve: (value: any) => void, reject: (error: Error) => void }} Call */
/** What the tab that holds the connection wants to know of the others. */
/** @typedef {{ rooms: string[], positions: [string, string][] }} Place */

/** How long a tab that takes over waits for the others to say where they are. */
const GATHER_MS = 200;
/** What a tab keeps unanswered: where no tab has the connection, nobody else says that it is too much. */
const CALLS_MAX = 1_024;
/** Messages and characters that are unacknowledged when a client keeps as much as it may; `queueMax` and `queueCharsMax` change that. */
const FULL = { messages: 128, chars: 1 << 20 };
/** How long a tab waits for what is missing in a log before it reads it there. */
const FILL_MS = 1_000;
/** @type {(keyof Events)[]} what all tabs hear; an `ack` is only for who has sent */
const TOLD = ['welcome', 'state', 'latency', 'room_msg', 'private_msg', 'broadcast', 'system', 'typing', 'gap', 'error', 'full', 'drain', 'restored'];

/**
 * Returns a client that shares its connection with other tabs; where the browser cannot (it needs Web Locks, so a page that came
 * by https or from localhost), one with its own.
 *
 * @param {Addresses} url
 * @param {Options & { group?: string }} [options]
 * @returns {SharedClient | Client}
 */
export function connect(url, options = {}) {
  const canShare = globalThis.navigator?.locks !== undefined && globalThis.BroadcastChannel !== undefined;
  return canShare ? new SharedClient(url, options) : new Client(url, options);
}

export class SharedClient extends Emitter {
  /** @type {Addresses} */ #url;
  /** @type {Options} */ #options;
  /** What names this tab among the others. */
  #tab = crypto.randomUUID();
  /** @type {BroadcastChannel} */ #channel;
  /** @type {Leader | null} the connection, if it is here */ #leader = null;
  /** Whether this tab has the lock of its own name. */
  #isHere = false;
  #closing = new AbortController();
  #lastCall = 0;
  /** @type {Map<number, Call>} what was asked and is not answered, in that order */ #calls = new Map();
  /** @type {Set<string>} rooms of this tab */ #joined = new Set();
  /** @type {Map<string, Reader>} how far this tab has read each log */ #readers = new Map();
  /** @type {Map<string, Room>} */ #rooms = new Map();
  /** @type {StateDetail} */ #state = { state: 'connecting', transport: 'websocket', retryAt: null, code: null };
  /** @type {number | null} */ #latency = null;

  constructor(/** @type {Addresses} */ url, /** @type {Options & { group?: string }} */ { group = '', ...options }) {
    super();
    this.#url = url;
    this.#options = options;
    this.session = options.session ?? '';
    this.user = options.user ?? '';
    const addresses = [url].flat().map((each) => String(new URL(each, globalThis.location?.href)));
    const name = `tidewire ${addresses.join(' ')} ${this.user} ${group}`;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#enter(name);
    for (const roomId of options.rooms ?? []) this.join(roomId, options.positions?.[roomId]).catch((error) => this.#emit('error', { type: 'error', roomId, ...plain(error) }));
  }

  /** As long as a tab holds the lock of its own name it is there, and nobody hears of it before that. */
  #enter(/** @type {string} */ name) {
    const { signal } = this.#closing;
    const hold = (/** @type {() => void} */ then) => () =>
      new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
        then();
      });
    const begin = () => {
      this.#isHere = true;
      this.#post({ hello: this.#tab });
      for (const number of this.#calls.keys()) this.#ask(number);
      // Where locks are refused, a tab has a connection of its own.
      navigator.locks.request(name, { signal }, hold(() => this.#lead())).catch(() => signal.aborted || this.#lead());
    };
    navigator.locks.request(lockOf(name, this.#tab), { signal }, hold(begin)).catch(() => signal.aborted || begin());
  }

  /** @type {State} */
  get state() {
    return this.#state.state;
  }

  /** @type {Transport} */
  get transport() {
    return this.#state.transport;
  }

  get retryAt() {
    return this.#state.retryAt;
  }

  get latency() {
    return this.#latency;
  }

  /** Whether the connection is in this tab. */
  get isLeader() {
    return this.#leader !== null;
  }

  room(/** @type {string} */ roomId) {
    let room = this.#rooms.get(roomId);
    // A room needs of its client only what we have, too.
    if (room === undefined) this.#rooms.set(roomId, (room = new Room(/** @type {any} */ (this), roomId)));
    return room;
  }

  async join(/** @type {string} */ roomId, /** @type {string | undefined} */ since = undefined) {
    if (since === undefined && this.#joined.has(roomId)) return this.#call('join', [roomId]);
    const reader = this.#read(roomId, true);
    this.#joined.add(roomId);
    reader.hold();
    try {
      const joined = await this.#call('join', [roomId]);
      if (since === undefined) reader.startFrom(joined.position);
      else await this.#readFrom(reader, roomId, since);
      this.#emit('joined', joined);
      return joined;
    } catch (error) {
      this.#joined.delete(roomId);
      throw error;
    } finally {
      for (const message of reader.release()) this.#emit(message.type, message);
    }
  }

  /** What was said before this tab came is for this tab alone. */
  async #readFrom(/** @type {Reader} */ reader, /** @type {string} */ roomId, /** @type {string} */ since) {
    for (let more = true; more; ) {
      const page = await this.history(roomId, { since });
      if (page.gap) this.#emit('gap', { type: 'gap', roomId, count: null, ...page.gap });
      for (const message of page.messages) this.#emit('room_msg', { type: 'room_msg', roomId, ...message });
      since = page.position;
      more = page.more;
    }
    reader.startFrom(since);
  }

  leave(/** @type {string} */ roomId) {
    this.#joined.delete(roomId);
    this.#readers.delete(roomId);
    return this.#call('leave', [roomId]);
  }

  history(/** @type {string} */ roomId, /** @type {Part} */ part = {}) {
    return this.#call('history', [roomId, part]);
  }

  presence(/** @type {string} */ roomId) {
    return this.#call('presence', [roomId]);
  }

  send(/** @type {string} */ roomId, /** @type {any} */ content, /** @type {Seq} */ seq = this.#nextSeq()) {
    return this.#call('send', [roomId, content, seq]);
  }

  private(/** @type {string} */ toUser, /** @type {any} */ content, /** @type {Seq} */ seq = this.#nextSeq()) {
    return this.#call('private', [toUser, content, seq]);
  }

  broadcast(/** @type {any} */ content, /** @type {Seq} */ seq = this.#nextSeq()) {
    return this.#call('broadcast', [content, seq]);
  }

  typing(/** @type {string} */ roomId) {
    this.#call('typing', [roomId]).catch(() => {});
  }

  reconnect() {
    this.#call('reconnect', []).catch(() => {});
  }

  position(/** @type {string} */ log) {
    return this.#readers.get(log)?.position;
  }

  /** Leaves the connection to the other tabs; what is unanswered here is rejected with the code `closed`. */
  close() {
    if (this.state === 'closed') return;
    this.#leader?.close();
    this.#leader = null;
    this.#channel.close();
    // Which gives the locks back.
    this.#closing.abort();
    this.#onState({ ...this.#state, state: 'closed', retryAt: null, code: 1000 });
    for (const { reject } of this.#calls.values()) reject(new TidewireError('closed', 'The connection was closed.'));
    this.#calls.clear();
  }

  /** Unlike that of any other tab: the server knows a message by it, whichever tab has the connection. */
  #nextSeq() {
    return `${this.#tab}.${this.#lastCall + 1}`;
  }

  // What we ask.

  /** @returns {Promise<any>} */
  #call(/** @type {string} */ method, /** @type {any[]} */ args) {
    if (this.state === 'closed') return Promise.reject(new TidewireError('closed', 'The connection was closed.'));
    try {
      // As JSON, which is what it will be: a channel would refuse what cannot be cloned.
      args = args.map((arg) => (arg === undefined ? arg : JSON.parse(JSON.stringify(arg))));
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.#calls.size >= CALLS_MAX) return Promise.reject(new TidewireError('queue_full', 'Too much is unanswered; try again later.'));
    const number = (this.#lastCall += 1);
    const call = /** @type {Call} */ ({ method, args });
    call.promise = new Promise((resolve, reject) => Object.assign(call, { resolve, reject }));
    this.#calls.set(number, call);
    this.#ask(number);
    return call.promise;
  }

  #ask(/** @type {number} */ number, isAgain = false) {
    if (!this.#isHere) return;
    const { method, args } = /** @type {Call} */ (this.#calls.get(number));
    const call = { call: number, tab: this.#tab, method, args, isAgain };
    if (this.#leader !== null) this.#leader.do(call);
    else this.#post(call);
  }

  #answered(/** @type {{ answer: number, value?: any, error?: any }} */ { answer, value, error }) {
    const call = this.#calls.get(answer);
    this.#calls.delete(answer);
    if (error !== undefined) return call?.reject(new TidewireError(error.code, error.message));
    call?.resolve(value);
  }

  #post(/** @type {any} */ data) {
    this.#channel.postMessage(data);
  }

  // What we hear.

  #hear(/** @type {any} */ data) {
    if (data.answer !== undefined && data.to === this.#tab) this.#answered(data);
    else if (data.event !== undefined) this.#onEvent(data.event, data.detail, data.by);
    else if (data.call !== undefined) this.#leader?.do(data);
    else if (data.hello !== undefined) this.#leader?.tell();
    else if (data.place !== undefined) this.#leader?.place(data.tab, data.place);
    else if (data.who !== undefined) this.#onNewLeader(data.who);
  }

  /** Another tab has taken over: it is told where we are, and asked again. */
  #onNewLeader(/** @type {string} */ session) {
    if (session !== '') this.session = session;
    if (!this.#isHere) return;
    this.#post({ place: this.#place(), tab: this.#tab });
    for (const number of this.#calls.keys()) this.#ask(number, true);
  }

  /** @returns {Place} */
  #place() {
    const positions = [...this.#readers].map(([log, reader]) => [log, reader.position]).filter(([, position]) => position !== undefined);
    return { rooms: [...this.#joined], positions: /** @type {[string, string][]} */ (positions) };
  }

  #onEvent(/** @type {string} */ type, /** @type {any} */ detail, /** @type {string | undefined} */ by) {
    switch (type) {
      case 'state':
        return this.#onState(detail);
      case 'latency':
        this.#latency = detail;
        break;
      case 'welcome':
        this.user = detail.user;
        this.session = detail.session;
        break;
      case 'room_msg':
      case 'private_msg':
      case 'broadcast':
      case 'gap':
        return this.#onEntry(detail, by);
      default:
        if (detail?.roomId !== undefined && !this.#joined.has(detail.roomId)) return;
    }
    this.#emit(type, detail);
  }

  #onState(/** @type {StateDetail} */ detail) {
    this.#state = detail;
    this.#emit('state', detail);
  }

  /** `by` is the tab that has said it, if it was one of us. */
  #onEntry(/** @type {Message} */ message, /** @type {string | undefined} */ by) {
    const log = message.type === 'private_msg' ? `@${this.user}` : (message.roomId ?? '*');
    if (message.roomId !== undefined && !this.#joined.has(message.roomId)) return;
    if (by === undefined && message.type !== 'gap' && message.from === this.user) {
      const answered = this.#answeredIn(log);
      if (answered !== null) return void answered.then(() => this.#take(log, message, by));
    }
    this.#take(log, message, by);
  }

  #take(/** @type {string} */ log, /** @type {Message} */ message, /** @type {string | undefined} */ by) {
    const reader = this.#read(log, false);
    for (const next of reader.take(message, by === this.#tab)) this.#emit(next.type, next);
    if (reader.isWaiting) this.#fillSoon(log, reader);
  }

  /**
   * What is in a log under our name may be what this tab has said to one that went before it could answer; the answer tells.
   * @returns {Promise<any> | null} settles with what is unanswered of that log; null if nothing is
   */
  #answeredIn(/** @type {string} */ log) {
    const calls = [...this.#calls.values()].filter(({ method, args }) => (method === 'send' ? args[0] === log : method === 'broadcast' && log === '*'));
    return calls.length === 0 ? null : Promise.allSettled(calls.map(({ promise }) => promise));
  }

  /** What should have come by itself has not: it was told before this tab listened, or on the way to another tab that is gone. */
  #fillSoon(/** @type {string} */ log, /** @type {Reader} */ reader) {
    if (reader.isFilling) return;
    reader.isFilling = true;
    const { position } = reader;
    setTimeout(async () => {
      if (reader.position === position) await this.#fill(log, reader);
      reader.isFilling = false;
      if (reader.isWaiting && this.#readers.get(log) === reader && this.state !== 'closed') this.#fillSoon(log, reader);
    }, FILL_MS);
  }

  async #fill(/** @type {string} */ log, /** @type {Reader} */ reader) {
    const type = log === '*' ? 'broadcast' : log === `@${this.user}` ? 'private_msg' : 'room_msg';
    const { messages } = await this.history(log, { since: reader.position }).catch(() => ({ messages: [] }));
    await this.#answeredIn(log);
    const roomId = type === 'room_msg' ? log : undefined;
    if (this.#readers.get(log) === reader) for (const message of messages) this.#take(log, { type, roomId, ...message }, undefined);
  }

  #read(/** @type {string} */ log, /** @type {boolean} */ anew) {
    let reader = anew ? undefined : this.#readers.get(log);
    if (reader === undefined) this.#readers.set(log, (reader = new Reader()));
    return reader;
  }

  #emit(/** @type {string} */ type, /** @type {any} */ detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
    this.#rooms.get(detail?.roomId)?.dispatchEvent(new CustomEvent(type, { detail }));
  }

  // The connection is ours.

  #lead() {
    const leader = new Leader(this.#url, { ...this.#options, session: this.session || undefined }, {
      tab: this.#tab,
      isGone: (tab) => navigator.locks.request(lockOf(this.#channel.name, tab), { signal: this.#closing.signal }, () => {}),
      answer: (tab, answer) => (tab === this.#tab ? this.#answered(answer) : this.#post({ to: tab, ...answer })),
      tell: (event, detail, by) => {
        this.#post({ event, detail, by });
        this.#onEvent(event, detail, by);
      },
    });
    this.#leader = leader;
    leader.place(this.#tab, this.#place());
    this.#post({ who: this.session });
    for (const number of this.#calls.keys()) this.#ask(number, true);
    setTimeout(() => leader.open(), GATHER_MS);
  }
}

/**
 * @typedef {object} Tabs
 * @property {string} tab which of them we are in
 * @property {(tab: string) => Promise<any>} isGone settles when that one is gone
 * @property {(tab: string, answer: { answer: number, value?: any, error?: any }) => void} answer
 * @property {(event: string, detail: any, by?: string) => void} tell tells all of them
 */

/** The connection, in the tab that has it: does what all tabs ask, and tells them what comes. */
class Leader {
  /** @type {Addresses} */ #url;
  /** @type {Options} */ #options;
  /** @type {Tabs} */ #tabs;
  /** @type {Client | null} */ #client = null;
  #isClosed = false;
  /** @type {Asked[]} what was asked before the connection was opened, of us or of another, and what came behind it */ #waiting = [];
  /** Calls that are being done, and their characters. */
  #running = 0;
  #runningChars = 0;
  /** @type {Map<string, Set<string>>} which tabs are in a room */ #rooms = new Map();
  /** @type {Map<string, Promise<any>>} rooms that are being left */ #leaving = new Map();
  /** @type {Set<string>} */ #watched = new Set();
  /** @type {Map<string, string>} the earliest position of any tab in each log */ #positions = new Map();
  /** @type {Set<string>} calls that are being done or wait: who asks again because we are new asks once */ #doing = new Set();

  constructor(/** @type {Addresses} */ url, /** @type {Options} */ options, /** @type {Tabs} */ tabs) {
    this.#url = url;
    this.#options = options;
    this.#tabs = tabs;
  }

  /** A tab says where it is. */
  place(/** @type {string} */ tab, /** @type {Place} */ { rooms, positions }) {
    const at = new Map(positions);
    this.#watch(tab);
    for (const roomId of rooms) {
      const isNew = !this.#rooms.has(roomId);
      this.#tabsIn(roomId).add(tab);
      // It comes late: the rooms of the others were joined when the connection was opened.
      if (isNew) this.#client?.join(roomId, at.get(roomId)).catch(() => {});
    }
    for (const [log, position] of positions) {
      const known = this.#positions.get(log);
      if (known === undefined || offsetOf(position) < offsetOf(known)) this.#positions.set(log, position);
    }
  }

  open() {
    if (this.#isClosed) return;
    const [rooms, positions] = [[...this.#rooms.keys()], Object.fromEntries(this.#positions)];
    const client = (this.#client = new Client(this.#url, { ...this.#options, rooms, positions }));
    for (const type of TOLD) client.on(type, (/** @type {any} */ detail) => this.#isClosed || this.#tabs.tell(type, detail));
    this.#goOn();
  }

  close() {
    this.#isClosed = true;
    this.#client?.close();
  }

  /** Tells a tab that has just come what it cannot know. */
  tell() {
    const client = this.#client;
    if (client === null) return;
    const { state, transport, retryAt, user, session } = client;
    if (state === 'live') this.#tabs.tell('welcome', { type: 'welcome', user, session });
    this.#tabs.tell('state', { state, transport, retryAt, code: null });
  }

  /** Notices when a tab goes: it may not have the time to say so. */
  #watch(/** @type {string} */ tab) {
    if (this.#watched.has(tab) || tab === this.#tabs.tab) return;
    this.#watched.add(tab);
    const forget = () => {
      this.#watched.delete(tab);
      for (const [roomId, tabs] of this.#rooms) if (tabs.has(tab)) this.#leave(tab, roomId);
    };
    this.#tabs.isGone(tab).then(forget, () => {});
  }

  do(/** @type {Asked} */ asked) {
    const key = keyOf(asked);
    if (this.#doing.has(key)) return;
    this.#doing.add(key);
    const { method, isAgain } = asked;
    const isForNow = method === 'typing' || method === 'reconnect';
    const waits = this.#client === null || (!isForNow && (isAgain || this.#waiting.length > 0));
    if (!waits) return void this.#start(asked);
    // A tab may say something new before it hears that it has to ask again for what is older.
    const later = this.#waiting.findIndex((other) => other.tab === asked.tab && other.call > asked.call);
    this.#waiting.splice(later < 0 ? this.#waiting.length : later, 0, asked);
    this.#goOn();
  }

  /**
   * Does what waits, as much at once as is half of what a client keeps: all tabs together may have asked for more than that, and were
   * not refused when they did.
   */
  #goOn() {
    const { queueMax = FULL.messages, queueCharsMax = FULL.chars } = this.#options;
    for (let next; this.#client !== null && (next = this.#waiting[0]) !== undefined; this.#start(next)) {
      const hasRoom = this.#running < queueMax / 2 && this.#runningChars + charsOf(next) <= queueCharsMax / 2;
      if (this.#running > 0 && !hasRoom) return;
      this.#waiting.shift();
    }
  }

  async #start(/** @type {Asked} */ asked) {
    const { call, tab, method, args } = asked;
    const chars = charsOf(asked);
    this.#running += 1;
    this.#runningChars += chars;
    let answer;
    try {
      answer = { answer: call, value: await this.#act(tab, method, args) };
    } catch (error) {
      answer = { answer: call, error: plain(error) };
    }
    this.#running -= 1;
    this.#runningChars -= chars;
    this.#doing.delete(keyOf(asked));
    // What we could not finish is asked of the next.
    if (this.#isClosed) return;
    this.#tabs.answer(tab, answer);
    this.#goOn();
  }

  /** @returns {Promise<any>} */
  async #act(/** @type {string} */ tab, /** @type {string} */ method, /** @type {any[]} */ args) {
    const client = /** @type {Client} */ (this.#client);
    switch (method) {
      case 'join':
        return this.#join(tab, args[0]);
      case 'leave':
        return this.#leave(tab, args[0]);
      case 'send':
        return this.#toAll(tab, await client.send(args[0], args[1], args[2]), { type: 'room_msg', roomId: args[0] }, args[1]);
      case 'broadcast':
        return this.#toAll(tab, await client.broadcast(args[0], args[1]), { type: 'broadcast' }, args[0]);
      case 'private':
        return client.private(args[0], args[1], args[2]);
      case 'history':
        return client.history(args[0], args[1]);
      case 'presence':
        return client.presence(args[0]);
      case 'typing':
        return client.typing(args[0]);
      case 'reconnect':
        return client.reconnect();
      default:
        throw new TidewireError('unknown_method', `This version has no ${method}.`);
    }
  }

  async #join(/** @type {string} */ tab, /** @type {string} */ roomId) {
    const client = /** @type {Client} */ (this.#client);
    this.#watch(tab);
    this.#tabsIn(roomId).add(tab);
    await this.#leaving.get(roomId)?.catch(() => {});
    const position = client.position(roomId);
    if (position === undefined) return client.join(roomId);
    const { members } = await client.presence(roomId);
    return { type: 'joined', roomId, position: client.position(roomId) ?? position, recovered: false, members };
  }

  #leave(/** @type {string} */ tab, /** @type {string} */ roomId) {
    const tabs = this.#tabsIn(roomId);
    tabs.delete(tab);
    if (tabs.size > 0) return { type: 'left', roomId };
    this.#rooms.delete(roomId);
    const left = this.#client?.leave(roomId);
    if (left !== undefined) this.#leaving.set(roomId, left);
    const over = () => this.#leaving.get(roomId) === left && this.#leaving.delete(roomId);
    left?.then(over, over);
    return left;
  }

  /** The server does not send us what we said; the other tabs have not said it. */
  #toAll(/** @type {string} */ tab, /** @type {Message} */ ack, /** @type {Message} */ head, /** @type {any} */ content) {
    const { offset, epoch, time } = ack;
    const from = this.#client?.user;
    this.#tabs.tell(head.type, { ...head, offset, epoch, from, content, time }, tab);
    return ack;
  }

  #tabsIn(/** @type {string} */ roomId) {
    let tabs = this.#rooms.get(roomId);
    if (tabs === undefined) this.#rooms.set(roomId, (tabs = new Set()));
    return tabs;
  }
}

/**
 * What one tab has read of one log. Offsets are dense: what another tab said may be known before what is ahead of it in the log
 * has come, and waits for that.
 */
class Reader {
  /** @type {string | undefined} */ #epoch;
  #offset = 0;
  /** Whether what is missing is being read. */
  isFilling = false;
  /** @type {Map<number, Message | null>} what waits, by offset; null where this tab has said it */ #early = new Map();
  /** @type {[Message, boolean][] | null} what comes while we read what was before */ #held = null;

  get position() {
    return this.#epoch === undefined ? undefined : `${this.#epoch}-${this.#offset}`;
  }

  startFrom(/** @type {string} */ position) {
    this.#epoch = position.slice(0, position.lastIndexOf('-'));
    this.#offset = offsetOf(position);
  }

  /** Whether something has come that is not next. */
  get isWaiting() {
    return this.#early.size > 0;
  }

  hold() {
    this.#held = [];
  }

  release() {
    const held = this.#held ?? [];
    this.#held = null;
    return held.flatMap(([message, isOurs]) => this.take(message, isOurs));
  }

  /** What is to be heard now. `isOurs`: this tab has said it, and needs not hear it. */
  take(/** @type {Message} */ message, /** @type {boolean} */ isOurs) {
    if (this.#held !== null) {
      this.#held.push([message, isOurs]);
      return [];
    }
    if (message.type === 'gap') {
      this.startFrom(message.to);
      this.#early.clear();
      return [message];
    }
    const { epoch, offset } = message;
    if (this.#epoch === undefined) this.startFrom(`${epoch}-${offset - 1}`);
    if (String(epoch) !== this.#epoch) {
      this.#early.clear();
      this.startFrom(`${epoch}-0`);
    }
    if (offset <= this.#offset || this.#early.has(offset)) return [];
    this.#early.set(offset, isOurs ? null : message);
    return this.#next();
  }

  /** Everything that follows without a hole. */
  #next() {
    const messages = [];
    for (let next; (next = this.#early.get(this.#offset + 1)) !== undefined; ) {
      this.#early.delete((this.#offset += 1));
      if (next !== null) messages.push(next);
    }
    return messages;
  }
}

/** The lock that a tab holds while it is there. */
function lockOf(/** @type {string} */ name, /** @type {string} */ tab) {
  return `${name} ${tab}`;
}

function keyOf(/** @type {Asked} */ { tab, call }) {
  return `${tab}.${call}`;
}

function charsOf(/** @type {Asked} */ { args }) {
  return JSON.stringify(args).length;
}

function offsetOf(/** @type {string} */ position) {
  return Number(position.slice(position.lastIndexOf('-') + 1));
}

function plain(/** @type {any} */ error) {
  return { code: error.code ?? 'failed', message: String(error.message ?? error) };
}
