import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CliIo } from '../../src/cli/io.ts';
import { runProgram, type CliRun } from '../support/cli.ts';
import { TEST_ENV } from '../support/facteur.ts';
import { temporaryFolder } from '../support/facteur-process.ts';

// Command lines and variables of pods that ran the Go service.

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const facteur = (args: readonly string[], env: CliIo['env'] = TEST_ENV): Promise<CliRun> =>
  runProgram(args, { env, homeDir: folder.path });

test.each([
  [['serve', '--config', 'FILE', '--prefork']],
  [['serve', '--prefork=false', '--config=FILE']],
  [['--config', 'FILE', 'serve', '--prefork=true']],
  [['--config=FILE', 'migrate']],
  [['--config', 'FILE', 'codex-listen']],
])('%j reads the file', async (args) => {
  const file = join(folder.path, 'none.yaml');
  expect(await facteur(args.map((arg) => arg.replace('FILE', file)))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`${file}: cannot read the file: no such file`),
  });
});

test('invalid values of settings that a command does not read are warnings', async () => {
  const dummies = {
    FACTEUR_DISCORD_BOT_TOKEN: 'unused',
    FACTEUR_REDIS_URL: 'unused',
    FACTEUR_SERVER_LISTEN_ADDRESS: 'unused',
  };
  const listener = {
    FACTEUR_CODEX_LISTENER_ENABLED: 'true',
    FACTEUR_CODEX_LISTENER_BROKERS: '127.0.0.1:1',
    FACTEUR_CODEX_LISTENER_SASL_ENABLED: 'true',
  };
  const migrated = await facteur(['migrate'], { ...dummies, ...listener, FACTEUR_POSTGRES_DSN: 'pglite:memory' });
  expect(migrated).toMatchObject({ code: 0, stdout: expect.stringContaining('migration 000001 applied') });
  expect(migrated.stderr).toContain('warning: FACTEUR_REDIS_URL: redis.url must be');
  const listening = await facteur(['codex-listen'], { ...dummies, ...listener, FACTEUR_POSTGRES_DSN: 'unused' });
  expect(listening.code).toBe(1);
  expect(listening.stderr).toContain('facteur: FACTEUR_CODEX_LISTENER_SASL_ENABLED: codex_listener.sasl.username');
  // The login of the listener is missing, but `serve` does not need it: it continues and looks for the cluster.
  const served = await facteur(['serve'], { ...TEST_ENV, ...listener });
  expect(served.stdout).toContain('codex_listener.sasl.password is required when enabled');
  expect(served.stderr).toMatch(/^facteur: .*FACTEUR_KUBECONFIG/);
});

test('operator commands work in a pod of serve with an incomplete consumer', async () => {
  const consumer = { FACTEUR_CONSUMER_ENABLED: 'true', FACTEUR_CONSUMER_SASL_ENABLED: 'true' };
  const warned = { code: 0, stderr: expect.stringContaining('warning: FACTEUR_CONSUMER_ENABLED: consumer.topic is') };
  const env = { ...TEST_ENV, ...consumer, FACTEUR_POSTGRES_DSN: `pglite:${join(folder.path, 'postgres')}` };
  expect(await facteur(['explain', 'plan', '--option', 'objective=x'], env)).toMatchObject(warned);
  expect(await facteur(['migrate'], env)).toMatchObject(warned);
  expect(await facteur(['runs', 'list'], env)).toMatchObject(warned);
});

test('the help omits --prefork, which does nothing', async () => {
  expect((await facteur(['serve', '--help'])).stdout).not.toContain('prefork');
});

test('--config before a command that the Go service did not have is wrong usage', async () => {
  expect(await facteur(['--config', 'x', 'runs', 'list'])).toMatchObject({ code: 2, stdout: '' });
  expect(await facteur(['--config'])).toMatchObject({ code: 2, stdout: '' });
});
