// What Node's `ws` makes of what a client sends: its Receiver, as a server has it, without a socket.
//
// Asked on stdin: a length of four bytes, a byte for permessage-deflate (0 off, 1 each message by itself, 2 with
// context takeover), the bytes. Answered on stdout: a line of JSON, the events, how it ended, how many events there were
// when a final block of DEFLATE ended the inflater, if one did, and the bytes of a character that is not whole yet: none,
// because text is looked at when it is whole.
// Usage: node judge_ws.mjs BYTES_MAX

import { createRequire } from 'node:module';

// By path, since the package exports none of them; its version is pinned.
const require = createRequire(import.meta.url);
const Receiver = require('../node_modules/ws/lib/receiver.js');
const PerMessageDeflate = require('../node_modules/ws/lib/permessage-deflate.js');
const { kStatusCode } = require('../node_modules/ws/lib/constants.js');

const maxPayload = Number(process.argv[2]);

class Extension extends PerMessageDeflate {
  onFinalBlock = () => {};

  _decompress(data, fin, callback) {
    super._decompress(data, fin, (error, inflated) => {
      if (!error && this._inflate === null) this.onFinalBlock();
      callback(error, inflated);
    });
  }
}

function extensions(deflate) {
  if (deflate === 0) return {};
  const extension = new Extension({ isServer: true, maxPayload });
  extension.accept([deflate === 1 ? { client_no_context_takeover: [true] } : {}]);
  return { [PerMessageDeflate.extensionName]: extension };
}

function judge(deflate, bytes) {
  const agreed = extensions(deflate);
  const receiver = new Receiver({ isServer: true, maxPayload, extensions: agreed });
  const events = [];
  let end = ['open'];
  let final = null;
  Object.values(agreed).forEach((extension) => (extension.onFinalBlock = () => (final ??= events.length)));
  const keep = (kind) => (data) => events.push([kind, data.toString('hex')]);
  receiver.on('message', (data, binary) => keep(binary ? 'binary' : 'text')(data));
  receiver.on('ping', keep('ping'));
  receiver.on('pong', keep('pong'));
  receiver.on('conclude', (code, reason) => (end = ['closed', code, reason.toString('hex')]));
  return new Promise((resolve) => {
    const finish = () => {
      Object.values(agreed).forEach((extension) => extension.cleanup());
      resolve({ events, end, final, waiting: '' });
    };
    receiver.on('error', (error) => {
      end = ['failed', error[kStatusCode]];
      finish();
    });
    receiver.write(bytes, (error) => error || finish());
  });
}

let waiting = Buffer.alloc(0);
for await (const chunk of process.stdin) {
  waiting = Buffer.concat([waiting, chunk]);
  while (waiting.length >= 5 && waiting.length >= 5 + waiting.readUInt32BE(0)) {
    const end = 5 + waiting.readUInt32BE(0);
    // A copy: the receiver unmasks in place.
    const answer = await judge(waiting[4], Buffer.from(waiting.subarray(5, end)));
    process.stdout.write(JSON.stringify(answer) + '\n');
    waiting = waiting.subarray(end);
  }
}
