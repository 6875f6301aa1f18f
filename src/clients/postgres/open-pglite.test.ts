import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { describeDatabase } from '../../../test/support/database-contract.ts';
import { createTestDatabase } from '../../../test/support/database.ts';
import { QUICK_ENGINE } from '../../../test/support/quick-engine.ts';
import type { Database } from './database.ts';
import { lockDirectory } from './directory-lock.ts';
import { openDatabase } from './open-database.ts';

describeDatabase('the embedded engine');

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'facteur-pglite-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

const open = (): Database =>
  openDatabase({ dsn: `pglite:${directory}`, pid: process.pid, random: () => 0.5, onLost: () => undefined });

// The engine's first start in a directory takes seconds, and on a busy machine many.
test('a directory keeps its data, and pgvector is available', async () => {
  const first = open();
  await first.query({ text: `CREATE EXTENSION vector; CREATE TABLE kept AS SELECT '[1,2]'::vector(2) AS v` });
  await first.close();
  const second = open();
  expect((await second.query({ text: `SELECT v <=> '[1,2]' AS distance FROM kept` })).rows).toEqual([{ distance: 0 }]);
  await second.close();
});

test('sequential scans stay off, even after a session: a table that is small may grow', async () => {
  const db = openDatabase({ dsn: 'pglite:memory', pid: process.pid, random: () => 0.5, onLost: () => undefined });
  const shown = async () => (await db.query({ text: 'SHOW enable_seqscan' })).rows;
  expect(await shown()).toEqual([{ enable_seqscan: 'off' }]);
  await db.session((session) => session.query({ text: 'SELECT 1' }));
  expect(await shown()).toEqual([{ enable_seqscan: 'off' }]);
  await db.close();
});

test('refuses a directory in use with the holder’s pid, until it is unlocked', async () => {
  const unlock = await lockDirectory(directory, process.pid);
  const refused = open();
  await expect(refused.ping()).rejects.toThrow(new RegExp(`in use by process ${process.pid}`));
  await refused.close();
  unlock();
  const again = await lockDirectory(directory, process.pid);
  again();
});

test('a killed holder leaves the directory free', async () => {
  const module = new URL('directory-lock.ts', import.meta.url).href;
  const script = `
    const { lockDirectory } = await import(${JSON.stringify(module)});
    await lockDirectory(${JSON.stringify(directory)}, process.pid);
    process.stdout.write('locked');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  await expect(lockDirectory(directory, process.pid)).rejects.toThrow(`in use by process ${child.pid}`);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const unlock = await lockDirectory(directory, process.pid);
  unlock();
});

test('refuses an unusable directory with its key and the reason', async () => {
  await writeFile(join(directory, 'file'), '');
  await mkdir(join(directory, 'facteur.lock'));
  for (const unusable of [join(directory, 'file', 'below'), directory]) {
    const refused = lockDirectory(unusable, process.pid);
    await expect(refused).rejects.toThrow(`cannot use the directory ${unusable} of postgres.dsn: `);
  }
});

test('statements wait for the only connection, even behind a long transaction', async () => {
  const { db, close } = await createTestDatabase({ migrated: false });
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const long = db.transaction(async (tx) => {
    await gate.promise;
    await tx.query({ text: 'SELECT 1' });
    order.push('transaction');
  });
  const short = db.query({ text: 'SELECT 2' }).then(() => order.push('statement'));
  gate.resolve();
  await Promise.all([long, short]);
  await vi.waitFor(() => expect(order).toEqual(['transaction', 'statement']));
  await close();
});

test('starting or stopping a listener takes no answer from a statement', async () => {
  const { db, close } = await createTestDatabase({ migrated: false });
  for (let ticks = 0; ticks < 20; ticks += 1) {
    const asked = db.query({ text: 'SELECT $1::int AS given', values: [ticks] });
    for (let tick = 0; tick < ticks; tick += 1) {
      await new Promise((resolve) => process.nextTick(resolve));
    }
    const listener = await db.listen('channel', () => undefined);
    await listener.close();
    expect((await asked).rows).toEqual([{ given: ticks }]);
  }
  await close();
});

// In a process of its own: an engine that spins in WebAssembly can only be killed.
test('closing right after a failed statement does not hang', async () => {
  const module = new URL('../../../test/support/database.ts', import.meta.url).href;
  const script = `
    const { createTestDatabase } = await import(${JSON.stringify(module)});
    for (let turns = 6; turns <= 9; turns += 1) {
      const { db } = await createTestDatabase({ migrated: false });
      await db.query({ name: 'absent', text: 'SELECT FROM absent WHERE id = $1', values: [1] }).catch(() => undefined);
      for (let turn = 0; turn < turns; turn += 1) {
        await undefined;
      }
      await db.close();
    }
    process.stdout.write('closed');`;
  const child = spawn(process.execPath, [...QUICK_ENGINE, '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  try {
    await vi.waitFor(() => expect(said.join('')).toBe('closed'), { timeout: 170_000 });
  } finally {
    child.kill('SIGKILL');
  }
});
