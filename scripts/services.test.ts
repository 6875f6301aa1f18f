import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const SCRIPT = fileURLToPath(new URL('services.ts', import.meta.url));
/** Without it, each process spends half of its time on stripping types. */
const NODE_COMPILE_CACHE = fileURLToPath(new URL('../node_modules/.cache/facteur/', import.meta.url));

/** Variables that are already set: nothing is started. */
const NAMED = {
  FACTEUR_TEST_POSTGRES_DSN: 'postgres://named',
  FACTEUR_TEST_REDIS_URL: 'redis://named',
  FACTEUR_TEST_KAFKA_BROKERS: 'named:9092',
  FACTEUR_TEST_PGBOUNCER: '/named',
};

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function services(
  args: readonly string[],
  during: (kill: () => void) => void = () => undefined,
  env: Record<string, string> = {},
): Promise<Outcome> {
  const child = spawn(process.execPath, [SCRIPT, ...args], {
    env: { ...process.env, NODE_COMPILE_CACHE, ...NAMED, ...env },
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (data) => {
    out += String(data);
    during(() => child.kill('SIGTERM'));
  });
  child.stderr.on('data', (data) => (err += String(data)));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

test('run passes the variables of its services to the command, and exits with its code', async () => {
  const { code, out } = await services(['run', '--', 'sh', '-c', 'echo "$FACTEUR_TEST_POSTGRES_DSN"; exit 7']);
  expect(out).toBe('postgres://named\n');
  expect(code).toBe(7);
});

test('run passes a signal to the command, and exits like a shell', async () => {
  const { code } = await services(['run', '--', 'sh', '-c', 'echo started; exec sleep 60'], (kill) => kill());
  expect(code).toBe(128 + 15);
});

test('a command that does not exist is an error', async () => {
  expect(await services(['run', '--', 'no-such-command'])).toMatchObject({
    code: 1,
    err: expect.stringContaining('ENOENT'),
  });
});

test('up prints the variables for a shell, and status shows them', async () => {
  expect(await services(['up'])).toMatchObject({
    code: 0,
    out: expect.stringContaining(`export FACTEUR_TEST_REDIS_URL='redis://named'\n`),
  });
  expect(await services(['status'])).toMatchObject({
    code: 0,
    out: expect.stringContaining('postgres: postgres://named\n'),
  });
});

test('FACTEUR_SERVICES_ONLY limits the services', async () => {
  const { out } = await services(['status'], undefined, { FACTEUR_SERVICES_ONLY: 'redis,pgbouncer' });
  expect(out).toBe('redis: redis://named\npgbouncer: /named\n');
});

test.each([[[]], [['start']], [['run']], [['run', '--']], [['run', 'ls']], [['up', 'now']]])(
  '%j is wrong usage',
  async (args) => {
    expect(await services(args)).toMatchObject({ code: 2, err: expect.stringContaining('usage:') });
  },
);
