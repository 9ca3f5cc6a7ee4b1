// The npm package as its users get it: packed, installed into a fresh project, compiled against in TypeScript, and used.
// Usage: node client_package.mjs DIRECTORY http://HOST:PORT

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

const [directory, url] = process.argv.slice(2);
const clients = fileURLToPath(new URL('../../clients/js/', import.meta.url));
const tsc = fileURLToPath(new URL('../node_modules/.bin/tsc', import.meta.url));
const run = (program, args, cwd = directory) => execFileSync(program, args, { cwd, encoding: 'utf8' });

run('npm', ['pack', '--silent', '--pack-destination', directory], clients);
const [tarball] = readdirSync(directory).filter((name) => name.endsWith('.tgz'));
const packed = run('tar', ['tzf', tarball]).trim().split('\n').sort();
assert.deepEqual(packed, [
  'package/README.md',
  'package/client.js',
  'package/client/outbox.js',
  'package/client/protobuf.js',
  'package/client/shared.js',
  'package/package.json',
  'package/types/client.d.ts',
  'package/types/client/outbox.d.ts',
  'package/types/client/protobuf.d.ts',
  'package/types/client/shared.d.ts',
]);

writeFileSync(join(directory, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }));
run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--silent', `./${tarball}`]);

// What a user writes; the compiler must know each event's shape, and refuse what is not there.
writeFileSync(
  join(directory, 'app.ts'),
  `import { connect, TidewireError, type Ack } from 'tidewire';
import { outbox } from 'tidewire/outbox';
import { connect as connectShared } from 'tidewire/shared';
export async function main(): Promise<number> {
  const client = connect('ws://localhost/ws', { user: 'Ada', outbox: outbox(), token: async () => 'x' });
  client.on('room_msg', ({ from, offset }) => console.log(from.toUpperCase(), offset + 1));
  const ack: Ack = await client.room('lobby').send({ any: ['json'] });
  for await (const { content } of client.room('lobby').history({ limit: 10 })) console.log(content);
  // @ts-expect-error there is no such event
  client.on('nonsense', () => {});
  // @ts-expect-error a user is a name
  connect('/ws', { user: 7 });
  connectShared('/ws', { group: 'g' }).close();
  return ack.offset + new TidewireError('a', 'b').code.length;
}
`,
);
writeFileSync(
  join(directory, 'tsconfig.json'),
  JSON.stringify({ compilerOptions: { strict: true, noEmit: true, target: 'ES2022', module: 'NodeNext', lib: ['ES2023', 'DOM', 'DOM.Iterable'], types: [] }, files: ['app.ts'] }),
);
run(tsc, ['-p', directory]);

writeFileSync(
  join(directory, 'use.js'),
  `import { connect } from 'tidewire';
const [ada, ben] = ['Ada', 'Ben'].map((user) => connect(process.argv[2] + '/ws', { user }));
await ben.join('lobby');
const heard = new Promise((resolve) => ben.room('lobby').on('room_msg', resolve));
await ada.join('lobby');
const { offset } = await ada.send('lobby', { text: 'from a package' });
const message = await heard;
console.log(JSON.stringify({ offset, heard: message.offset, from: message.from, content: message.content }));
ada.close();
ben.close();
`,
);
const said = JSON.parse(run('node', ['use.js', url]));
assert.deepEqual(said, { offset: 1, heard: 1, from: 'Ada', content: { text: 'from a package' } });
console.log('packed, installed, compiled against and used');
