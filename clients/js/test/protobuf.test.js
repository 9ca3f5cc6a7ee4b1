// The codec for Protobuf: bytes as any other library writes them, and messages as JSON would have them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '../client/protobuf.js';

const hex = (/** @type {Uint8Array} */ bytes) => Buffer.from(bytes).toString('hex');
const bytes = (/** @type {string} */ text) => new Uint8Array(Buffer.from(text, 'hex'));

test('requests are the bytes that the schema says', () => {
  assert.equal(hex(encode({ type: 'heartbeat' })), '5a00');
  assert.equal(hex(encode({ type: 'room_msg', roomId: 'lobby', content: 'hi', seq: 300, id: 5 })), '08052a100a056c6f62627912042268692220ac02');
  assert.equal(hex(encode({ type: 'private_msg', toUser: 'a', content: { $binary: '/wA=' }, seq: 'x' })), '320a0a01611a02ff002a0178');
  assert.equal(hex(encode({ type: 'join_room', roomId: 'r', since: '' })), '1a050a01721200');
});

test('numbers have up to 53 bits', () => {
  assert.equal(hex(encode({ type: 'heartbeat', id: Number.MAX_SAFE_INTEGER })), '08ffffffffffffff0f5a00');
  assert.deepEqual(decode(bytes('08ffffffffffffff0f820102087f')), { type: 'heartbeat', id: String(Number.MAX_SAFE_INTEGER), time: 127 });
});

test('what the schema leaves out is what JSON has', () => {
  assert.deepEqual(decode(bytes('42020a00')), { type: 'joined', roomId: '', position: '', recovered: false, members: [] });
  assert.deepEqual(decode(bytes('3200')), { type: 'ack', roomId: '', offset: 0, epoch: '00000000', time: 0 });
});

test('an entry has its content, whatever it is', () => {
  const entry = { type: 'room_msg', roomId: 'r', offset: 7, epoch: '0000abcd', from: 'a', time: 1 };
  const head = '0a017210071dcdab0000220161';
  assert.deepEqual(decode(bytes(`1a12${head}2a01313801`)), { ...entry, content: 1 });
  assert.deepEqual(decode(bytes(`1a13${head}3202ff003801`)), { ...entry, content: { $binary: '/wA=' } });
});

test('unknown fields are skipped, unknown events are none, and what is cut or no message is none', () => {
  assert.deepEqual(decode(bytes('9a06036162638201020801f50101020304f1010102030405060708')), { type: 'heartbeat', time: 1 });
  assert.equal(decode(bytes('9a0603616263')), null);
  assert.equal(decode(new Uint8Array()), null);
  assert.equal(decode(bytes('820105')), null);
});
