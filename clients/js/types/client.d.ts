export type State = 'connecting' | 'live' | 'reconnecting' | 'replaced' | 'closed';
export type Transport = 'websocket' | 'sse' | 'poll';
export type StateDetail = {
    state: State;
    transport: Transport;
    retryAt: number | null;
    code: number | null;
};
export type Gap = {
    type: 'gap';
    roomId: string;
    from: string;
    to: string;
    reason: string;
    count: number | null;
};
export type Ack = {
    type: 'ack';
    seq: Seq;
    roomId: string;
    offset: number;
    epoch: string | number;
    time: number;
    dup?: true;
};
export type Entry = {
    type: string;
    roomId?: string;
    offset: number;
    epoch: string | number;
    from: string;
    content: any;
    time: number;
};
export type Welcome = {
    type: 'welcome';
    session: string;
    user: string;
    connection?: string;
    msg: string;
    heartbeat: number;
    time: number;
};
export type Joined = {
    type: 'joined';
    roomId: string;
    position: string;
    recovered: boolean;
    members: string[];
};
export type Left = {
    type: 'left';
    roomId: string;
};
export type Presence = {
    type: 'presence';
    roomId: string;
    members: string[];
};
export type System = {
    type: 'system';
    roomId: string;
    event: 'join' | 'leave';
    user: string;
    content: string;
};
export type Typing = {
    type: 'typing';
    roomId: string;
    user: string;
};
export type History = {
    type: 'history';
    roomId: string;
    messages: Entry[];
    position: string;
    more: boolean;
    gap?: {
        from: string;
        to: string;
        reason: string;
    };
};
export type ErrorDetail = {
    type: 'error';
    code: string;
    message: string;
    roomId?: string;
    session?: string;
    seq?: Seq;
};
export type Backlog = {
    unacked: number;
};
export type Addresses = string | URL | (string | URL)[];
export type Events = {
    state: StateDetail;
    latency: number;
    full: Backlog;
    drain: Backlog;
    restored: Kept;
    delayed: ErrorDetail;
    welcome: Welcome;
    joined: Joined;
    left: Left;
    room_msg: Entry;
    private_msg: Entry;
    broadcast: Entry;
    system: System;
    typing: Typing;
    presence: Presence;
    history: History;
    gap: Gap;
    ack: Ack;
    error: ErrorDetail;
    heartbeat: {
        time: number;
    };
};
export type Part = {
    since?: string;
    before?: string;
    limit?: number;
};
export type Seq = number | string;
export type Kept = {
    session: string;
    seq: Seq;
    user?: string;
    message: Message;
};
export type Outbox = {
    /**
     * what earlier pages left, in the order it was put
     */
    load: () => Promise<Kept[]>;
    put: (kept: Kept) => Promise<void>;
    remove: (kept: Kept) => Promise<void>;
};
export type Options = {
    /**
     * the name to chat under; without it the server calls us `guest-…`
     */
    user?: string;
    /**
     * a JWT, or what fetches a fresh one
     */
    token?: string | (() => string | Promise<string>);
    /**
     * rooms to join as soon as we are connected
     */
    rooms?: string[];
    /**
     * where to go on, by room (or `*`, or `@` and our name)
     */
    positions?: Record<string, string>;
    /**
     * default a random one; two live clients must not share it
     */
    session?: string;
    /**
     * which to use, best first; default all three
     */
    transports?: Transport[];
    /**
     * keeps what is unacknowledged beyond the page
     */
    outbox?: Outbox;
    /**
     * messages kept while unacknowledged, default 128
     */
    queueMax?: number;
    /**
     * their total length as JSON, default 1 Mi characters
     */
    queueCharsMax?: number;
    /**
     * default the global one; Node before 22 has none, pass that of `ws`
     */
    WebSocket?: typeof WebSocket;
    /**
     * default the global one
     */
    fetch?: typeof fetch;
};
export type Message = {
    type: string;
    [field: string]: any;
};
export type Resolvers = {
    promise: Promise<any>;
    resolve: (answer: any) => void;
    reject: (error: Error) => void;
};
export type Waiting = Resolvers & {
    text: string;
    message: Message;
    sentAt?: number;
    isDelayed?: boolean;
    gap?: object;
};
/** An error answer of the server, or our own reason not to send; `code` is a stable word. */
export declare class TidewireError extends Error {
    code: string;
    constructor(/** @type {string} */ code: string, /** @type {string} */ message: string);
}
/**
 * Returns a client that connects at once and stays connected until `close()`. An address may be relative to the page. Of several it
 * begins with any, and who loses one goes on at the next.
 *
 * @param {Addresses} url
 * @param {Options} [options]
 */
export declare function connect(url: Addresses, options?: Options): Client;
/** What tells of events: `addEventListener`, and `on`, which needs no event. */
export declare class Emitter extends EventTarget {
    /**
     * Calls `listener` with the `detail` of each event of this type; returns what ends that.
     *
     * @template {keyof Events} K
     * @param {K} type
     * @param {(detail: Events[K]) => void} listener
     */
    on<K extends keyof Events>(type: K, listener: (detail: Events[K]) => void): () => void;
}
/**
 * Every message of the server is dispatched as a `CustomEvent` of its `type` with the message as `detail`. Besides these:
 * `state` (a `StateDetail`) on every change of the connection, `latency` (milliseconds), `full` when a message was refused
 * because too many are unacknowledged and `drain` when there is room again, `restored` (a `Kept`) for what an earlier page left
 * and is sent again, `delayed` (the error) for what the server could not keep for now and is sent again. `error` is only for errors that answer none of our promises.
 */
export declare class Client extends Emitter {
    #private;
    /** The key, with the user and `seq`, by which the server knows a message that is sent again. */
    session: string;
    /** Our name, as the server knows it once it has said `welcome`. */
    user: string;
    constructor(/** @type {Addresses} */ url: Addresses, /** @type {Options} */ options?: Options);
    /** @type {State} */
    get state(): State;
    /** What carries the connection, or is tried. @type {Transport} */
    get transport(): Transport;
    /** How long the server took for its last answer (ms), or null before the first. */
    get latency(): number | null;
    /** When the next attempt starts (Unix ms), or null when none is waited for. */
    get retryAt(): number | null;
    /** The room's part of this client; the same object for the same room. Nothing is joined by that. */
    room(/** @type {string} */ roomId: string): Room;
    /**
     * Joins a room, now and after every reconnect; resolves with the server's `joined`. What was said behind the position
     * `since` comes before that: '' means from the oldest kept message; without it, only what is said from now on.
     *
     * @param {string} roomId
     * @param {string} [since]
     * @returns {Promise<Joined>}
     */
    join(roomId: string, since?: string): Promise<Joined>;
    /**
     * Leaves a room; resolves with the server's `left`. Without a connection there is nothing left to leave.
     *
     * @param {string} roomId
     * @returns {Promise<Left>}
     */
    leave(roomId: string): Promise<Left>;
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
    history(roomId: string, part?: Part): Promise<History>;
    /**
     * Resolves with the server's `presence`: who is in a room, as `members`.
     *
     * @param {string} roomId
     * @returns {Promise<Presence>}
     */
    presence(roomId: string): Promise<Presence>;
    /**
     * Sends any JSON value to a room. Resolves once the message is kept, be it after a reconnect; rejects with a
     * `TidewireError` when the server refuses it, when too much is unacknowledged (`queue_full`) or after `close()`. Who gives a
     * `seq` sends the same message again under it, and it is kept once.
     */
    send(/** @type {string} */ roomId: string, /** @type {any} */ content: any, /** @type {Seq | undefined} */ seq?: Seq | undefined): Promise<Ack>;
    /** Sends any JSON value to one user; settles as `send` does. */
    private(/** @type {string} */ toUser: string, /** @type {any} */ content: any, /** @type {Seq | undefined} */ seq?: Seq | undefined): Promise<Ack>;
    /** Sends any JSON value to everyone; settles as `send` does. */
    broadcast(/** @type {any} */ content: any, /** @type {Seq | undefined} */ seq?: Seq | undefined): Promise<Ack>;
    /** Tells a room that we are typing. Worth nothing later, so it is dropped unless the connection is live. */
    typing(/** @type {string} */ roomId: string): void;
    /** The position up to which a log (a room, `*`, or `@` and our name) has been read; undefined before it is known. */
    position(/** @type {string} */ log: string): string | undefined;
    /** Connects now: instead of waiting for the next attempt, or to take the session back after `replaced`. */
    reconnect(): void;
    /** Closes the connection for good; what is unacknowledged is rejected with the code `closed`. */
    close(): void;
}
/** One room of a client: its methods without the `roomId`, and its events alone. */
export declare class Room extends Emitter {
    #private;
    id: string;
    constructor(/** @type {Client} */ client: Client, /** @type {string} */ id: string);
    join(/** @type {string | undefined} */ since?: string | undefined): Promise<Joined>;
    leave(): Promise<Left>;
    send(/** @type {any} */ content: any, /** @type {Seq | undefined} */ seq?: Seq | undefined): Promise<Ack>;
    typing(): void;
    presence(): Promise<Presence>;
    get position(): string | undefined;
    /**
     * Yields what was said, a page at a time as it is needed: with `since` from there on, else from the newest (or from `before`)
     * back to the oldest that is kept. `limit` is the size of a page.
     *
     * @param {Part} [part]
     * @returns {AsyncGenerator<Entry, void, void>}
     */
    history({ since, before, limit }?: Part): AsyncGenerator<Entry, void, void>;
}
export type Timer = ReturnType<typeof after>;
export type Host = {
    query: () => URLSearchParams;
    user: () => string;
    session: () => string;
    /**
     * before `state` says `live`
     */
    onWelcome: (message: Message) => void;
    onMessage: (message: Message) => void;
    onState: (detail: StateDetail) => void;
};
export type Link = {
    send: (text: string) => void;
    retoken: () => void;
    close: (code: number) => void;
};
export type Ear = {
    onHeard: () => void;
    onMessage: (message: Message) => void;
    onLost: (code: number) => void;
};
export type Way = {
    url: URL;
    options: Options;
    host: Host;
    query: () => URLSearchParams;
    token: () => string;
};
export type Access = Pick<Way, 'url' | 'options' | 'token'>;
/** Calls `then` after so many milliseconds, unless it is cancelled. */
declare function after(/** @type {number} */ ms: number, /** @type {(value?: any) => void} */ then: (value?: any) => void): {
    cancel: () => void;
};
export {};
