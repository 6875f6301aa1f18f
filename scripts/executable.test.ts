import { execFile } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';

const run = promisify(execFile);

let folder: string;
/** Makes a process report an older version of Node.js. */
const OLD =
  "Object.defineProperty(process, 'versions', { value: { node: '20.20.2' } });" +
  "Object.defineProperty(process, 'version', { value: 'v20.20.2' });";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'executable-'));
  write('package.json', '{"type":"module"}');
  write('old.mjs', OLD);
  mkdirSync(join(folder, 'bin'));
  for (const name of ['facteur', 'bundle.js']) {
    copyFileSync(join(import.meta.dirname, '../bin', name), join(folder, 'bin', name));
  }
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

function writeMain(path: string): void {
  write(
    path,
    `export async function main() { console.log('${path}', ...process.argv.slice(2)); process.exitCode = 3; }`,
  );
}

function writeBundle(): void {
  const main = `async () => { console.log(require('./other.cjs').name, ...process.argv.slice(2)); process.exitCode = 3; }`;
  write('dist/main.cjs', `(function (exports, require) { exports.main = ${main}; })`);
  write('dist/other.cjs', `(function (exports, require, module) { module.exports = { name: 'the bundle' }; })`);
}

/** Works for any exit code: an error of `execFile` has the same fields. */
function execute(...nodeOptions: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const args = [...nodeOptions, join(folder, 'bin/facteur'), 'serve', '--debug'];
  return run(process.execPath, args).then(
    (done) => ({ code: 0, ...done }),
    (failure: { code: number; stdout: string; stderr: string }) => failure,
  );
}

test('runs the sources if they exist, even next to a bundle', async () => {
  writeMain('src/main.ts');
  writeBundle();
  expect(await execute()).toMatchObject({ code: 3, stdout: 'src/main.ts serve --debug\n', stderr: '' });
});

test('runs the bundle if there are no sources', async () => {
  writeBundle();
  expect(await execute()).toMatchObject({ code: 3, stdout: 'the bundle serve --debug\n', stderr: '' });
});

test('runs a bundle with compiled code from another version of V8', async () => {
  writeBundle();
  write('dist/main.cjs.code', 'compiled by something else');
  expect(await execute()).toMatchObject({ code: 3, stdout: 'the bundle serve --debug\n', stderr: '' });
});

test('refuses an older Node.js in one line if there is no newer one in node_modules', async () => {
  writeMain('src/main.ts');
  expect(await execute('--import', join(folder, 'old.mjs'))).toMatchObject({
    code: 1,
    stdout: '',
    stderr: 'facteur needs Node 24, this is v20.20.2: install it, or run "npm ci", which brings it\n',
  });
});

test('with an older Node.js, runs the one in node_modules, and exits with its code', async () => {
  writeMain('src/main.ts');
  mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true });
  symlinkSync(process.execPath, join(folder, 'node_modules/.bin/node'));
  expect(await execute('--import', join(folder, 'old.mjs'))).toMatchObject({
    code: 3,
    stdout: 'src/main.ts serve --debug\n',
    stderr: '',
  });
});

test('does not loop if the Node.js in node_modules is too old as well', async () => {
  writeMain('src/main.ts');
  write('node_modules/.bin/node', `#!/bin/sh\nexec "${process.execPath}" --import '${join(folder, 'old.mjs')}' "$@"\n`);
  chmodSync(join(folder, 'node_modules/.bin/node'), 0o755);
  expect(await execute('--import', join(folder, 'old.mjs'))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('facteur needs Node 24'),
  });
});
