// What the package promises beside its behaviour: types that hold and are those of the code, and a core that stays small.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

const PACKAGE = new URL('..', import.meta.url).pathname;
const MODULES = new URL('../../../tests/node_modules/', import.meta.url);
const CORE_BYTES_MAX = 8_000;

function tsc(...options) {
  try {
    execFileSync(new URL('.bin/tsc', MODULES).pathname, ['-p', PACKAGE, ...options], { encoding: 'utf8' });
  } catch (error) {
    assert.fail(error.stdout || error.message);
  }
}

test('the types hold', () => tsc());

test('the declarations are those of the code', () => {
  const fresh = mkdtempSync(join(tmpdir(), 'tidewire-types-'));
  try {
    tsc('--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--outDir', fresh);
    const files = (directory) => readdirSync(directory, { recursive: true }).filter((file) => file.endsWith('.d.ts')).sort();
    const kept = join(PACKAGE, 'types');
    assert.deepEqual(files(kept), files(fresh), 'run `npm run types` in clients/js');
    for (const file of files(fresh)) {
      assert.equal(readFileSync(join(kept, file), 'utf8'), readFileSync(join(fresh, file), 'utf8'), `${file}: run \`npm run types\` in clients/js`);
    }
  } finally {
    rmSync(fresh, { recursive: true });
  }
});

test('the core is below 8 kB, minified and gzipped', async () => {
  const { minify } = await import(new URL('terser/main.js', MODULES));
  const { code } = await minify(readFileSync(join(PACKAGE, 'client.js'), 'utf8'), { module: true, compress: { passes: 2 } });
  const bytes = gzipSync(code, { level: 9 }).length;
  console.log(`client.js: ${code.length} bytes minified, ${bytes} gzipped`);
  assert.ok(bytes < CORE_BYTES_MAX, `${bytes} bytes`);
});
