// Files on their way to the server, before the message that names them is sent. An upload runs, and is done or failed;
// a failed one can be started again, and any can be cancelled. Nothing here draws.

import { isPicture } from './content.js';
import { sizeOf } from './format.js';
import { authorization } from './token.js';

const NAME_BYTES_MAX = 255;
/** The longer side of the small picture that is shown before sending. */
const PREVIEW_PX = 96;

let lastKey = 0;

export class Upload {
  key = `u${(lastKey += 1)}`;
  /** 'running' | 'done' | 'failed' */
  state = 'running';
  /** Bytes sent so far. */
  sent = 0;
  /** Why it failed, as a sentence. */
  problem = null;
  /** A canvas with the picture, once it could be read. */
  preview = null;
  #file;
  #name;
  #stored = null;
  #sides = {};
  #request = null;
  #looked;
  #onChange;

  /** Starts at once; `onChange()` is called whenever there is something new to show. */
  constructor(file, onChange) {
    this.#file = file;
    this.#name = nameOf(file);
    this.#onChange = onChange;
    this.#looked = this.#look();
    this.start();
  }

  get name() {
    return this.#name;
  }

  get size() {
    return this.#file.size;
  }

  /** What the message says of the file, or null before it is done. */
  get description() {
    if (this.#stored === null) return null;
    const { url, type, size } = this.#stored;
    return { url, name: this.#name, type, size, ...this.#sides };
  }

  /** Starts, or starts again. */
  start() {
    this.#become('running', { sent: 0, problem: null });
    // `fetch` does not tell how much was sent.
    const request = new XMLHttpRequest();
    this.#request = request;
    request.open('POST', `/api/files?name=${encodeURIComponent(this.#name)}`);
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.responseType = 'text';
    request.upload.onprogress = ({ loaded }) => this.#become('running', { sent: loaded });
    request.onload = () => void this.#answered(request);
    request.onerror = () => this.#become('failed', { problem: 'It was cut off on the way. Check the connection and try again.' });
    if (this.#file.type !== '') request.setRequestHeader('Content-Type', this.#file.type);
    request.send(this.#file);
  }

  cancel() {
    this.#request.abort();
  }

  async #answered({ status, responseText }) {
    const answer = parse(responseText);
    // A picture is not sent without its size: a small one may be up before it is looked at.
    await this.#looked;
    if (status === 201 && typeof answer?.url === 'string') {
      this.#stored = answer;
      this.#become('done', { sent: this.size });
    } else {
      const why = answer?.error?.message ?? `The server answered with ${status}.`;
      this.#become('failed', { problem: status === 413 ? tooLarge(why) : why });
    }
  }

  #become(state, what) {
    Object.assign(this, { state, ...what });
    this.#onChange();
  }

  /** Finds how large a picture is, so that whoever is shown it can reserve the place. */
  async #look() {
    if (!isPicture(this.#file)) return;
    try {
      const picture = await createImageBitmap(this.#file);
      this.#sides = { width: picture.width, height: picture.height };
      this.preview = small(picture);
      picture.close();
      this.#onChange();
    } catch {
      // It says that it is a picture and is none, or none that this browser knows: it goes as it is.
    }
  }
}

/** A file's name as the server takes it: without control characters and half ones, and not too long; its end says what it is. */
function nameOf(file) {
  const chars = [...file.name.replace(/[\p{Cc}\p{Cs}]/gu, '')];
  while (new Blob([chars.join('')]).size > NAME_BYTES_MAX) chars.shift();
  return chars.join('') || 'file';
}

function small(picture) {
  const scale = Math.min(1, PREVIEW_PX / Math.max(picture.width, picture.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext('2d').drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** The server's sentence has the limit, in bytes. */
function tooLarge(sentence) {
  const [, bytes] = /(\d+) bytes/.exec(sentence) ?? [];
  return bytes === undefined ? `It is too large. ${sentence}` : `It is too large: a file may have at most ${sizeOf(Number(bytes))}.`;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
