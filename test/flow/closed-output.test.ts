import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { fillDirectory } from '../support/database.ts';
import { TEST_ENV } from '../support/facteur.ts';
import { temporaryFolder } from '../support/facteur-process.ts';
import { QUICK_ENGINE } from '../support/quick-engine.ts';

// As with `facteur … | head -1`: the reader of the output is gone.

const EXECUTABLE = join(import.meta.dirname, '..', '..', 'bin', 'facteur');

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

function facteur(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  const child = spawn(process.execPath, [...QUICK_ENGINE, EXECUTABLE, ...args], {
    env: { PATH: process.env['PATH'], ...TEST_ENV, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function expectQuietEnd(child: ChildProcess): Promise<void> {
  child.stdout?.destroy();
  const said = text(child.stderr!);
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(await said).toBe('');
}

test.each([['config schema'], ['--help']])('%s exits quietly', async (line) => {
  await expectQuietEnd(facteur(line.split(' ')));
});

test('runs list exits quietly', async () => {
  const directory = join(folder.path, 'db');
  await fillDirectory(directory);
  await expectQuietEnd(facteur(['runs', 'list'], { FACTEUR_POSTGRES_DSN: `pglite:${directory}` }));
});

test('serve keeps serving', async () => {
  const directory = join(folder.path, 'db');
  await fillDirectory(directory);
  const child = facteur(['serve'], { FACTEUR_POSTGRES_DSN: `pglite:${directory}`, FACTEUR_DISABLE_DISPATCHER: '1' });
  const said = text(child.stderr!);
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  let port: number | undefined;
  while (port === undefined) {
    const { value } = await lines.next();
    ({ port } = JSON.parse(value as string) as { port?: number });
  }
  child.stdout?.destroy();
  // Each request logs a line that nobody reads.
  for (let asked = 0; asked < 3; asked += 1) {
    expect((await fetch(`http://127.0.0.1:${port}/nowhere`)).status).toBe(404);
  }
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(await said).toBe('');
});
