import { expect, test } from 'vitest';
import { MINIMAL_ENV } from '../../test/support/config.ts';
import { ConfigError, formatFault } from './fault.ts';
import { loadConfig, type ConfigResult } from './load.ts';

const FILES: Readonly<Record<string, string>> = {
  '/run/secrets/dsn': 'postgres://facteur:hunter2@db/facteur_kb\n',
  '/run/secrets/tokens': 'one,two\n',
  '/run/secrets/keys': '[{"id": "k", "secret": "a-secret-of-32-characters-or-more"}]\n',
  '/run/secrets/empty': '\n',
};

async function readFile(path: string): Promise<string> {
  const text = FILES[path];
  if (path === '/run/secrets/broken') {
    throw Object.assign(new Error(`EIO: i/o error, open '${path}'`), { code: 'EIO' });
  }
  if (text === undefined) {
    throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
  }
  return text;
}

async function load(env: Record<string, string>): Promise<ConfigResult> {
  const { FACTEUR_POSTGRES_DSN: _, ...others } = MINIMAL_ENV;
  return loadConfig({ env: { ...others, ...env }, readFile });
}

async function faultsOf(env: Record<string, string>): Promise<readonly string[]> {
  const outcome: unknown = await load(env).catch((error: unknown) => error);
  return outcome instanceof ConfigError ? outcome.faults.map((fault) => formatFault(fault)) : [];
}

test('reads secrets from files: text, lists and JSON, without the trailing newline', async () => {
  const { config, warnings } = await load({
    FACTEUR_POSTGRES_DSN_FILE: '/run/secrets/dsn',
    FACTEUR_SERVER_INTAKE_TOKENS_FILE: '/run/secrets/tokens',
    FACTEUR_SERVER_RUN_TOKEN_KEYS_FILE: '/run/secrets/keys',
  });
  expect(config.postgres.dsn.reveal()).toBe('postgres://facteur:hunter2@db/facteur_kb');
  expect(config.server.intakeTokens.map((token) => token.reveal())).toEqual(['one', 'two']);
  expect(config.server.runTokenKeys.map(({ id }) => id)).toEqual(['k']);
  expect(warnings).toEqual([]);
});

test.each([
  ['/run/secrets/none', 'FACTEUR_POSTGRES_DSN_FILE: postgres.dsn: cannot read the file: no such file'],
  ['/run/secrets/broken', 'FACTEUR_POSTGRES_DSN_FILE: postgres.dsn: cannot read the file: input/output error'],
  ['/run/secrets/empty', 'FACTEUR_POSTGRES_DSN_FILE: postgres.dsn: the file is empty'],
])('%s is an error that names the variable', async (path, fault) => {
  expect(await faultsOf({ FACTEUR_POSTGRES_DSN_FILE: path })).toContain(fault);
});

test('setting both the value and the file is an error: one of them would be ignored', async () => {
  const env = { FACTEUR_POSTGRES_DSN: 'pglite:memory', FACTEUR_POSTGRES_DSN_FILE: '/run/secrets/dsn' };
  expect(await faultsOf(env)).toEqual([
    'FACTEUR_POSTGRES_DSN_FILE: postgres.dsn: FACTEUR_POSTGRES_DSN is set, too; set only one of them',
  ]);
});

test('a key that is not secret has no such variable', async () => {
  const { warnings } = await load({ FACTEUR_POSTGRES_DSN: 'pglite:memory', FACTEUR_ARGO_NAMESPACE_FILE: '/x' });
  expect(warnings.map((warning) => formatFault(warning))).toEqual([
    expect.stringContaining('FACTEUR_ARGO_NAMESPACE_FILE: unknown variable'),
  ]);
});
