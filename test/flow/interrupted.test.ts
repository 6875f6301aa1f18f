import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { TEST_ENV } from '../support/facteur.ts';
import { serveHttp } from '../support/serve-http.ts';

// A command that waits for another program exits at the first SIGTERM or Ctrl-C.

const EXECUTABLE = join(import.meta.dirname, '..', '..', 'bin', 'facteur');
const TASK = join(import.meta.dirname, '..', '..', 'examples', 'codex-task.json');

function facteur(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  const child = spawn(process.execPath, [EXECUTABLE, ...args], {
    env: { PATH: process.env['PATH'], ...TEST_ENV, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function expectEnd(child: ChildProcess, signal: NodeJS.Signals, says: RegExp): Promise<void> {
  const said = text(child.stderr!);
  child.kill(signal);
  expect(await once(child, 'exit')).toEqual([1, null]);
  expect(await said).toMatch(says);
}

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends the wait for standard input', async (signal) => {
  const child = facteur(['codex', 'encode', '-']);
  // Once a full pipe has been emptied, the process reads.
  await new Promise((resolve) => child.stdin!.write(' '.repeat(1024 * 1024), resolve));
  await expectEnd(child, signal, /^facteur: .*aborted\n$/);
});

test('SIGTERM ends the wait for an answer', async () => {
  const asked = Promise.withResolvers<void>();
  await using silent = await serveHttp(() => asked.resolve());
  const child = facteur(['send', 'codex-task', TASK], { FACTEUR_URL: silent.url });
  await asked.promise;
  await expectEnd(child, 'SIGTERM', /^facteur: \S+ does not answer: .*aborted\n$/);
});

/** A server that accepts connections and never sends anything. */
async function silentServer(): Promise<{ readonly port: number; readonly asked: Promise<void> }> {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const server = createServer((socket) => socket.on('error', () => undefined).once('data', () => resolve()));
  onTestFinished(() => void server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { port: (server.address() as AddressInfo).port, asked };
}

test.each([
  [
    'runs list',
    (port: number) => ({
      FACTEUR_POSTGRES_DSN: `postgres://u:p@127.0.0.1:${port}/d?sslmode=disable&connect_timeout=3600`,
    }),
  ],
  ['commands sync', (port: number) => ({ FACTEUR_DISCORD_API_BASE_URL: `http://127.0.0.1:${port}` })],
])('SIGINT ends %s even if the server is silent', async (line, env) => {
  const { port, asked } = await silentServer();
  const child = facteur(line.split(' '), env(port));
  await asked;
  await expectEnd(child, 'SIGINT', /^(?:facteur: warning: .*\n)*facteur: stopped before it was done\n$/);
});

test.each(['migrate', '--debug migrate'])('%s is not interrupted by SIGTERM', async (line) => {
  const { port, asked } = await silentServer();
  const dsn = `postgres://u:p@127.0.0.1:${port}/d?sslmode=disable&connect_timeout=2`;
  const child = facteur(line.split(' '), { FACTEUR_POSTGRES_DSN: dsn });
  await asked;
  await expectEnd(child, 'SIGTERM', /postgres is not available/);
});
