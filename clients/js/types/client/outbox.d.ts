import type { Outbox } from '../client.js';
/**
 * Returns the outbox of this name, which all tabs of this origin share. It is opened when it is used first; where the browser
 * has no IndexedDB (Firefox in private windows, once) its methods fail, and the client says so with an `error` event.
 *
 * @param {string} [name]
 * @returns {Outbox}
 */
export declare function outbox(name?: string): Outbox;
