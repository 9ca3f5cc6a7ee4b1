// What the user sends, on its way: files first, then the message that names them, until the server has kept it or says why
// not. A message that waits for its files is sent when they are there, whatever is on the screen by then. What the page did
// not get rid of before it was closed or reloaded, the client sends again from its outbox; that is shown here, too.

import { FILES_MAX, contentOf } from './content.js';
import * as entries from './entries.js';
import { bytesOf } from './format.js';
import { ensureConversation, roomNamed } from './state.js';
import { toast } from './toast.js';
import { Upload } from './uploads.js';

/** The server takes messages of 64 KiB; this leaves room for what is around the content. */
const CONTENT_BYTES_MAX = 60 * 1024;

export class Delivery {
  #client;
  #outbox;
  #state;
  #changed;
  /** Whether the server can keep nothing for now. */
  #isDelayed = false;
  /** What an earlier page left, by session and `seq`. */
  #restored = new Map();

  /** `changed()` is called whenever there is something new to show. */
  constructor(client, state, outbox, changed) {
    this.#client = client;
    this.#outbox = outbox;
    this.#state = state;
    this.#changed = changed;
  }

  get isDelayed() {
    return this.#isDelayed;
  }

  /** The server can keep nothing for now, and the client sends again what is on its way; or that is over. */
  delay(isDelayed) {
    if (isDelayed === this.#isDelayed) return;
    this.#isDelayed = isDelayed;
    for (const conversation of this.#state.conversations.values()) entries.delay(conversation, isDelayed);
    this.#changed();
  }

  /** Sends the draft of a conversation, or has it sent as soon as its files are there. */
  submit(conversation) {
    const { draft } = conversation;
    const { uploads } = draft;
    const text = draft.text.trim();
    draft.wanted = false;
    if (text === '' && uploads.length === 0) return;
    const content = contentOf(text, uploads.map(({ description }) => description));
    if (uploads.some(({ state }) => state === 'failed')) {
      toast('A file could not be sent. Try it again, or remove it.');
    } else if (bytesOf(JSON.stringify(content)) > CONTENT_BYTES_MAX) {
      toast('This message is too long to send. Please split it into parts.');
    } else if (uploads.some(({ state }) => state === 'running')) {
      draft.wanted = true;
    } else {
      Object.assign(draft, { text: '', uploads: [] });
      this.#deliver(conversation, entries.compose(conversation, this.#state.user, content, Date.now()));
    }
    this.#changed();
  }

  /** Sends a failed message again. */
  again(conversation, entry) {
    entries.again(conversation, entry, Date.now());
    this.#deliver(conversation, entry);
    this.#forgetKept(entry);
  }

  /** Gives a failed message up. */
  discard(conversation, entry) {
    entries.remove(conversation, entry);
    this.#forgetKept(entry);
  }

  /** Begins to send files; the next message takes them along. */
  attach(conversation, files) {
    const { uploads } = conversation.draft;
    const room = FILES_MAX - uploads.length;
    if (files.length > room) toast(`A message takes ${FILES_MAX} files. Send these first, then the others.`);
    for (const file of files.slice(0, Math.max(room, 0))) uploads.push(new Upload(file, () => this.#uploaded(conversation)));
    this.#changed();
  }

  /** Takes a file out again. */
  remove(conversation, upload) {
    const { draft } = conversation;
    upload.cancel();
    draft.uploads = draft.uploads.filter((other) => other !== upload);
    this.#uploaded(conversation);
  }

  /** Ends what a conversation still uploads; it is left. */
  drop({ draft }) {
    for (const upload of draft.uploads) upload.cancel();
    draft.wanted = false;
  }

  /** A message of an earlier page is sent again. */
  restore({ session, seq, message }) {
    const { roomId, toUser, content } = message;
    const kind = toUser === undefined ? 'room' : 'private';
    const conversation = kind === 'room' ? roomNamed(this.#state, roomId) : ensureConversation(this.#state, kind, toUser);
    // Whoever is not in that room any more does not see it there.
    if (conversation === undefined) return;
    const entry = entries.compose(conversation, this.#state.user, content, Date.now());
    entry.isDelayed = this.#isDelayed;
    this.#restored.set(`${session} ${seq}`, { conversation, entry });
  }

  /** Takes an `ack` or an `error` for a message of an earlier page; returns whether it is for one. */
  answered(answer) {
    const key = `${answer.session} ${answer.seq}`;
    const restored = this.#restored.get(key);
    if (restored === undefined) return false;
    this.#restored.delete(key);
    const { conversation, entry } = restored;
    if (answer.type === 'ack') entries.keep(conversation, entry, logOf(conversation), answer);
    else entries.fail(Object.assign(entry, { left: { session: answer.session, seq: answer.seq } }), answer.message);
    return true;
  }

  /** What the disk had no space for waits in the outbox for the next page, which must not send what the user has decided on. */
  #forgetKept(entry) {
    const { left } = entry;
    delete entry.left;
    if (left !== undefined) this.#outbox.remove(left).catch(() => {});
  }

  #uploaded(conversation) {
    if (conversation.draft.wanted) this.submit(conversation);
    this.#changed();
  }

  async #deliver(conversation, entry) {
    entry.isDelayed = this.#isDelayed;
    this.#changed();
    const { kind, name } = conversation;
    try {
      const { content } = entry;
      const ack = await (kind === 'room' ? this.#client.send(name, content) : this.#client.private(name, content));
      entries.keep(conversation, entry, logOf(conversation), ack);
    } catch (error) {
      entries.fail(entry, error.message);
    }
    this.#changed();
  }
}

/** The log that our messages of a conversation go to. */
const logOf = ({ id, kind, name }) => (kind === 'room' ? name : id);
