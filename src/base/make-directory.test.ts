import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeDirectory } from './make-directory.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'facteur-directory-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

test('creates missing parents, even in concurrent calls', async () => {
  const path = join(directory, 'a', 'b', 'c');
  await Promise.all([makeDirectory(path), makeDirectory(path)]);
  await makeDirectory(path);
  expect((await stat(path)).isDirectory()).toBe(true);
});

test('fails with EEXIST if a file is in the way', async () => {
  const file = join(directory, 'file');
  await writeFile(file, '');
  await expect(makeDirectory(file)).rejects.toThrow('EEXIST');
  await expect(makeDirectory(join(file, 'below'))).rejects.toThrow('EEXIST');
});

// macOS has no such directory.
test.runIf(process.platform === 'linux')('fails where no directory can be created', async () => {
  await expect(makeDirectory('/proc/facteur/data')).rejects.toThrow('ENOENT');
});
