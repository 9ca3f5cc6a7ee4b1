import { Client, Emitter, Room } from '../client.js';
import type { Addresses, Options, Part, Seq, State, Transport } from '../client.js';
export type Asked = {
    call: number;
    tab: string;
    method: string;
    args: any[];
    isAgain?: boolean;
};
export type Call = {
    method: string;
    args: any[];
    promise: Promise<any>;
    resolve: (value: any) => void;
    reject: (error: Error) => void;
};
export type Place = {
    rooms: string[];
    positions: [string, string][];
};
/**
 * Returns a client that shares its connection with other tabs; where the browser cannot (it needs Web Locks, so a page that came
 * by https or from localhost), one with its own.
 *
 * @param {Addresses} url
 * @param {Options & { group?: string }} [options]
 * @returns {SharedClient | Client}
 */
export declare function connect(url: Addresses, options?: Options & {
    group?: string;
}): SharedClient | Client;
export declare class SharedClient extends Emitter {
    #private;
    session: string;
    user: string;
    constructor(/** @type {Addresses} */ url: Addresses, /** @type {Options & { group?: string }} */ { group, ...options }: Options & {
        group?: string;
    });
    /** @type {State} */
    get state(): State;
    /** @type {Transport} */
    get transport(): Transport;
    get retryAt(): number | null;
    get latency(): number | null;
    /** Whether the connection is in this tab. */
    get isLeader(): boolean;
    room(/** @type {string} */ roomId: string): Room;
    join(/** @type {string} */ roomId: string, /** @type {string | undefined} */ since?: string | undefined): Promise<any>;
    leave(/** @type {string} */ roomId: string): Promise<any>;
    history(/** @type {string} */ roomId: string, /** @type {Part} */ part?: Part): Promise<any>;
    presence(/** @type {string} */ roomId: string): Promise<any>;
    send(/** @type {string} */ roomId: string, /** @type {any} */ content: any, /** @type {Seq} */ seq?: Seq): Promise<any>;
    private(/** @type {string} */ toUser: string, /** @type {any} */ content: any, /** @type {Seq} */ seq?: Seq): Promise<any>;
    broadcast(/** @type {any} */ content: any, /** @type {Seq} */ seq?: Seq): Promise<any>;
    typing(/** @type {string} */ roomId: string): void;
    reconnect(): void;
    position(/** @type {string} */ log: string): string | undefined;
    /** Leaves the connection to the other tabs; what is unanswered here is rejected with the code `closed`. */
    close(): void;
}
export type Tabs = {
    /**
     * which of them we are in
     */
    tab: string;
    /**
     * settles when that one is gone
     */
    isGone: (tab: string) => Promise<any>;
    answer: (tab: string, answer: {
        answer: number;
        value?: any;
        error?: any;
    }) => void;
    /**
     * tells all of them
     */
    tell: (event: string, detail: any, by?: string) => void;
};
