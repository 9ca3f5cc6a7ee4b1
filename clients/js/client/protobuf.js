// The chat as Protobuf (docs/tidewire.v1.proto): a WebSocket for the client that says in bytes what it is given as JSON, and the other way
// round. Where the server does not speak it, JSON goes through as it is.
//
//     import { protobuf } from '/client/protobuf.js';
//     const client = connect('/ws', { WebSocket: protobuf() });
//
// Bytes as a content are `{ $binary: '<base64>' }` on both sides. It is no Protobuf library: it knows this schema, and skips the fields that it
// does not know.

/** @typedef {{ type: string, [field: string]: any }} Message */
/** A field's number, and how it is read. @typedef {[number, Kind] | [number, Kind, Fields]} Field */
/** @typedef {'text' | 'number' | 'flag' | 'bytes' | 'epoch' | 'texts' | 'message' | 'messages'} Kind */
/** @typedef {Record<string, Field>} Fields */

/** @type {Fields} */
const MESSAGE = { to: [1, 'text'], json: [2, 'text'], binary: [3, 'bytes'], seq: [4, 'number'], seqText: [5, 'text'] };
/** @type {Fields} */
const ROOM = { roomId: [1, 'text'] };
/** @type {Fields} */
const REQUEST = {
  id: [1, 'number'],
  hello: [2, 'message', { user: [1, 'text'], session: [2, 'text'], token: [3, 'text'] }],
  join_room: [3, 'message', { ...ROOM, since: [2, 'text'] }],
  leave_room: [4, 'message', ROOM],
  room_msg: [5, 'message', MESSAGE],
  private_msg: [6, 'message', MESSAGE],
  broadcast: [7, 'message', MESSAGE],
  typing: [8, 'message', ROOM],
  history: [9, 'message', { ...ROOM, since: [2, 'text'], before: [3, 'text'], limit: [4, 'number'] }],
  presence: [10, 'message', ROOM],
  heartbeat: [11, 'message', {}],
};

/** @type {Fields} */
const ENTRY = {
  roomId: [1, 'text'], offset: [2, 'number'], epoch: [3, 'epoch'], from: [4, 'text'], json: [5, 'text'], binary: [6, 'bytes'], time: [7, 'number'],
};
/** @type {Fields} */
const EVENT = {
  id: [1, 'number'],
  welcome: [2, 'message', {
    session: [1, 'text'], user: [2, 'text'], connection: [3, 'text'], msg: [4, 'text'], heartbeat: [5, 'number'], time: [6, 'number'],
  }],
  room_msg: [3, 'message', ENTRY],
  private_msg: [4, 'message', ENTRY],
  broadcast: [5, 'message', ENTRY],
  ack: [6, 'message', {
    seq: [1, 'number'], seqText: [2, 'text'], roomId: [3, 'text'], offset: [4, 'number'], epoch: [5, 'epoch'], time: [6, 'number'], dup: [7, 'flag'],
  }],
  system: [7, 'message', { ...ROOM, event: [2, 'text'], user: [3, 'text'], content: [4, 'text'] }],
  joined: [8, 'message', { ...ROOM, position: [2, 'text'], recovered: [3, 'flag'], members: [4, 'texts'] }],
  gap: [9, 'message', { ...ROOM, from: [2, 'text'], to: [3, 'text'], reason: [4, 'text'] }],
  left: [10, 'message', ROOM],
  history: [11, 'message', { ...ROOM, messages: [2, 'messages', ENTRY], position: [3, 'text'], more: [4, 'flag'] }],
  presence: [12, 'message', { ...ROOM, members: [2, 'texts'] }],
  typing: [13, 'message', { ...ROOM, user: [2, 'text'] }],
  token_expiring: [14, 'message', { seconds: [1, 'number'] }],
  reconnect: [15, 'message', { after: [1, 'number'] }],
  heartbeat: [16, 'message', { time: [1, 'number'] }],
  error: [17, 'message', { code: [1, 'text'], message: [2, 'text'], retryAfter: [3, 'number'], seq: [4, 'number'], seqText: [5, 'text'] }],
  close: [18, 'message', { code: [1, 'number'], reason: [2, 'text'] }],
};
/** Those that may be missing: what is absent elsewhere is zero, empty or false. */
const MAY_BE_MISSING = ['id', 'json', 'binary', 'seq', 'seqText', 'dup', 'retryAfter'];

const [PROTOBUF, JSON_TEXT] = ['tidewire.v1.protobuf', 'tidewire.v1.json'];

/**
 * The class to be given to `connect` as `WebSocket`; in Node before 22 with that of `ws`.
 *
 * @returns {any}
 */
export function protobuf(/** @type {any} */ Socket = globalThis.WebSocket) {
  return class {
    /** @type {WebSocket} */ #socket;
    /** @type {((event: { data: string }) => void) | undefined} */ onmessage;
    /** @type {((event: CloseEvent) => void) | undefined} */ onclose;
    /** @type {((event: Event) => void) | undefined} */ onerror;

    constructor(/** @type {string} */ address, /** @type {string[]} */ protocols = []) {
      this.#socket = new Socket(address, [PROTOBUF, ...(protocols.length > 0 ? protocols : [JSON_TEXT])]);
      this.#socket.binaryType = 'arraybuffer';
      this.#socket.onmessage = ({ data }) => this.onmessage?.({ data: typeof data === 'string' ? data : JSON.stringify(decode(data)) });
      this.#socket.onclose = (event) => this.onclose?.(event);
      this.#socket.onerror = (event) => this.onerror?.(event);
    }

    send(/** @type {string} */ text) {
      this.#socket.send(this.#socket.protocol === PROTOBUF ? encode(JSON.parse(text)) : text);
    }

    close(/** @type {number | undefined} */ code = undefined) {
      this.#socket.close(code);
    }
  };
}

/** The bytes of a request. */
export function encode(/** @type {Message} */ { type, id, ...fields }) {
  const { roomId, toUser, content, seq } = fields;
  if ('content' in fields) {
    const binary = bytesOf(content);
    fields = { to: toUser ?? roomId, ...(binary === undefined ? { json: JSON.stringify(content) } : { binary }) };
    if (seq !== undefined) fields[typeof seq === 'string' ? 'seqText' : 'seq'] = seq;
  }
  // The client's ids are the texts of numbers.
  return new Uint8Array(written(REQUEST, { id: id && Number(id), [type]: fields }));
}

/** The message that bytes of the server are; null where they are none that is known. @returns {Message | null} */
export function decode(/** @type {ArrayBuffer | Uint8Array} */ data) {
  try {
    return decoded(data instanceof Uint8Array ? data : new Uint8Array(data));
  } catch {
    // As what is no JSON: not ours to judge.
    return null;
  }
}

/** @returns {Message | null} */
function decoded(/** @type {Uint8Array} */ bytes) {
  const { id, ...event } = read(EVENT, bytes);
  const [type] = Object.keys(event);
  if (type === undefined) return null;
  const message = { type, ...(id === undefined ? {} : { id: String(id) }), ...tidied(event[type]) };
  if (type === 'history') {
    const kind = message.roomId === '*' ? 'broadcast' : message.roomId.startsWith('@') ? 'private_msg' : 'room_msg';
    message.messages = message.messages.map((/** @type {any} */ entry) => ({ type: kind, ...tidied(entry) }));
  }
  return message;
}

/** A field for what is one of several in the schema. */
function tidied(/** @type {any} */ { json, binary, seqText, ...fields }) {
  if (json !== undefined) fields.content = JSON.parse(json);
  if (binary !== undefined) fields.content = { $binary: base64(binary) };
  if (seqText !== undefined) fields.seq = seqText;
  if (fields.content !== undefined && fields.roomId === '') delete fields.roomId;
  return fields;
}

/** Bytes among contents. @returns {Uint8Array | undefined} */
function bytesOf(/** @type {any} */ content) {
  const text = content?.$binary;
  if (typeof text !== 'string' || Object.keys(content).length > 1) return undefined;
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

function base64(/** @type {Uint8Array} */ bytes) {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

// The wire: a tag is a number and a type, 0 for a varint, 1 for 8 bytes, 2 for so many bytes, 5 for 4 bytes.

/** @returns {number[]} */
function written(/** @type {Fields} */ fields, /** @type {Record<string, any>} */ values) {
  /** @type {number[]} */
  const bytes = [];
  for (const [name, [number, kind, inner]] of Object.entries(fields)) {
    const value = values[name];
    if (value === undefined || value === null) continue;
    if (kind === 'number') {
      bytes.push(...varint(number << 3), ...varint(value));
      continue;
    }
    const inside = inner ? written(inner, value) : kind === 'text' ? new TextEncoder().encode(value) : value;
    bytes.push(...varint((number << 3) | 2), ...varint(inside.length));
    for (const byte of inside) bytes.push(byte);
  }
  return bytes;
}

/** @returns {number[]} */
function varint(/** @type {number} */ number) {
  const bytes = [];
  for (; number > 127; number = Math.floor(number / 128)) bytes.push((number % 128) | 128);
  return [...bytes, number];
}

/** @returns {any} */
function read(/** @type {Fields} */ fields, /** @type {Uint8Array} */ bytes) {
  const names = new Map(Object.entries(fields).map(([name, [number]]) => [number, name]));
  /** @type {Record<string, any>} */
  const values = {};
  for (const [name, [, kind]] of Object.entries(fields)) {
    if (kind === 'texts' || kind === 'messages') values[name] = [];
    else if (kind !== 'message' && !MAY_BE_MISSING.includes(name)) values[name] = { number: 0, flag: false, epoch: '00000000' }[/** @type {string} */ (kind)] ?? '';
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const number = () => {
    let [value, factor] = [0, 1];
    for (; bytes[at] > 127; at += 1, factor *= 128) value += (bytes[at] & 127) * factor;
    return value + bytes[at++] * factor;
  };
  while (at < bytes.length) {
    const tag = number();
    const [name, type] = [names.get(tag >>> 3), tag & 7];
    const length = type === 0 ? 0 : type === 1 ? 8 : type === 5 ? 4 : number();
    const value = type === 0 ? number() : bytes.subarray(at, at + length);
    if (at + length > bytes.length) throw new RangeError('a message ends before its time');
    if (name !== undefined) {
      const [, kind, inner] = fields[name];
      if (kind === 'number') values[name] = value;
      else if (kind === 'flag') values[name] = value !== 0;
      else if (kind === 'epoch') values[name] = view.getUint32(at, true).toString(16).padStart(8, '0');
      else if (kind === 'bytes') values[name] = value;
      else if (kind === 'message') values[name] = read(inner ?? {}, /** @type {Uint8Array} */ (value));
      else if (kind === 'messages') values[name].push(read(inner ?? {}, /** @type {Uint8Array} */ (value)));
      else if (kind === 'texts') values[name].push(new TextDecoder().decode(/** @type {Uint8Array} */ (value)));
      else values[name] = new TextDecoder().decode(/** @type {Uint8Array} */ (value));
    }
    at += length;
  }
  return values;
}
