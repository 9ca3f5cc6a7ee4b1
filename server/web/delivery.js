// What the user sends, on its way: files first, then the message that names them, until the server has kept it or says why
// not. A message that waits for its files is sent when they are there, whatever is on the screen by then.

import { FILES_MAX, contentOf } from './content.js';
import * as entries from './entries.js';
import { bytesOf } from './format.js';
import { toast } from './toast.js';
import { Upload } from './uploads.js';

/** The server takes messages of 64 KiB; this leaves room for what is around the content. */
const CONTENT_BYTES_MAX = 60 * 1024;

export class Delivery {
  #client;
  #state;
  #changed;

  /** `changed()` is called whenever there is something new to show. */
  constructor(client, state, changed) {
    this.#client = client;
    this.#state = state;
    this.#changed = changed;
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

  #uploaded(conversation) {
    if (conversation.draft.wanted) this.submit(conversation);
    this.#changed();
  }

  async #deliver(conversation, entry) {
    this.#changed();
    const { id, kind, name } = conversation;
    try {
      const { content } = entry;
      const ack = await (kind === 'room' ? this.#client.send(name, content) : this.#client.private(name, content));
      entries.keep(conversation, entry, kind === 'room' ? name : id, ack);
    } catch (error) {
      entries.fail(entry, error.message);
    }
    this.#changed();
  }
}
