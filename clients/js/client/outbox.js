// An outbox in IndexedDB: messages that are not acknowledged outlive the page, and the next one sends them, under the session
// and `seq` that they had, so that what was kept after all is not kept twice. It is handed to `connect`:
//
//     import { connect } from '/client.js';
//     import { outbox } from '/client/outbox.js';
//     const client = connect('/ws', { user: 'Ada', outbox: outbox() });

/** @import { Kept, Outbox } from '../client.js' */

/** More is refused: somebody who is offline for days should hear of it. */
const KEPT_MAX = 1_000;
const STORE = 'kept';
/** How long a page that is left may still seem to be there. */
const LEAVING_MS = 1_000;

/**
 * Returns the outbox of this name, which all tabs of this origin share. It is opened when it is used first; where the browser
 * has no IndexedDB (Firefox in private windows, once) its methods fail, and the client says so with an `error` event.
 *
 * @param {string} [name]
 * @returns {Outbox}
 */
export function outbox(name = 'tidewire-outbox') {
  /** @type {Promise<IDBDatabase> | undefined} */ let database;
  let lastPut = 0;

  /**
   * Does one thing in one transaction; resolves with its result when the transaction is complete.
   *
   * @template T
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => IDBRequest<T>} act
   * @returns {Promise<T>}
   */
  async function transact(mode, act) {
    database ??= openDatabase(name);
    const transaction = (await database).transaction(STORE, mode);
    const request = act(transaction.objectStore(STORE));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error ?? new Error('The outbox is full.'));
    });
  }

  return {
    async load() {
      const all = await transact('readonly', (store) => store.index('at').getAll());
      let living = await livingSessions();
      if (all.some(({ session }) => living.has(session))) {
        // That page may be one that has just been left.
        await new Promise((resolve) => setTimeout(resolve, LEAVING_MS));
        living = await livingSessions();
      }
      const left = all.filter(({ session }) => !living.has(session));
      return left.map(({ at, ...kept }) => /** @type {Kept} */ (kept));
    },
    async put(kept) {
      holdSession(kept.session);
      // Two of the same millisecond keep their order.
      lastPut = Math.max(lastPut + 0.001, Date.now());
      const at = lastPut;
      // In one transaction, so that no `remove` of the same message comes between.
      await transact('readwrite', (store) => {
        const count = store.count();
        count.onsuccess = () => count.result >= KEPT_MAX && store.transaction.abort();
        return store.put({ ...kept, at });
      });
    },
    async remove({ session, seq }) {
      await transact('readwrite', (store) => store.delete([session, seq]));
    },
  };
}

// A page says by a lock that a session is its own: what waits there is not to be sent by others. Where there are no locks (a page
// that came by plain http) it may be sent by both, and is kept once.

const LOCK = 'tidewire-session ';
/** @type {Set<string>} */ const ownSessions = new Set();

function holdSession(/** @type {string} */ session) {
  if (ownSessions.has(session)) return;
  ownSessions.add(session);
  navigator.locks?.request(LOCK + session, () => new Promise(() => {})).catch(() => {});
}

async function livingSessions() {
  const locks = (await navigator.locks?.query())?.held ?? [];
  const names = locks.map(({ name }) => (name ?? '').replace(LOCK, ''));
  return new Set(names.filter((session) => !ownSessions.has(session)));
}

/** @returns {Promise<IDBDatabase>} */
function openDatabase(/** @type {string} */ name) {
  const request = indexedDB.open(name, 1);
  return new Promise((resolve, reject) => {
    request.onupgradeneeded = () => {
      const store = request.result.createObjectStore(STORE, { keyPath: ['session', 'seq'] });
      store.createIndex('at', 'at');
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
