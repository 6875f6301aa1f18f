import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { CLOSED_ENV, loadYaml } from '../../test/support/config.ts';
import { checkConfig, printConfig } from './report.ts';

const MISTAKES = join(import.meta.dirname, '..', '..', 'test', 'fixtures', 'config', 'mistakes.yaml');

describe('config check', () => {
  test('reports all errors of a file at once, with line and key, but without values', async () => {
    const env = { FACTEUR_CONSUMER_MAX_ATTEMPTS: 'canary', FACTEUR_ROLEMAP: 'canary' };
    const { ok, lines } = await checkConfig({ path: 'f.yaml', env, readFile: async () => readFile(MISTAKES, 'utf8') });
    expect(ok).toBe(false);
    expect(lines).toEqual([
      'error: f.yaml:2:3: server.listen_adress is an unknown key; did you mean server.listen_address?',
      'error: f.yaml:3:19: server.max_body_bytes must be a whole number of at least 1',
      'error: f.yaml:5:14: discord.bot_token must be text',
      'error: f.yaml:7:8: redis must be a map of keys',
      'error: f.yaml:9:12: consumer.topic is required when enabled',
      'error: f.yaml:9:12: consumer.group_id is required when enabled',
      'error: f.yaml:10:13: consumer.brokers[0] must be HOST or HOST:PORT',
      'error: f.yaml:11:20: consumer.sasl.username is required when enabled',
      'error: f.yaml:11:20: consumer.sasl.password is required when enabled',
      'error: f.yaml:11:37: consumer.sasl.mechanism must be one of plain, scram-sha-256, scram-sha-512',
      'error: f.yaml:14:3: role_map.Plan is a duplicate: names are compared without case',
      'error: f.yaml:14:3: role_map.Plan is not a command name in lower case',
      'error: FACTEUR_CONSUMER_MAX_ATTEMPTS: consumer.max_attempts must be a whole number of at least 1',
      'error: postgres DSN is required; set FACTEUR_POSTGRES_DSN or configure postgres.dsn',
      'error: argo.namespace is required; set FACTEUR_ARGO_NAMESPACE or configure argo.namespace',
      'error: argo.workflow_template is required; set FACTEUR_ARGO_WORKFLOW_TEMPLATE or configure argo.workflow_template',
      'warning: FACTEUR_ROLEMAP: unknown variable; did you mean FACTEUR_ROLE_MAP?',
      'the configuration has 16 errors',
    ]);
  });

  test('reports that a configuration is valid, with its warnings', async () => {
    const options = { env: CLOSED_ENV, readFile: async () => '' };
    expect(await checkConfig(options)).toEqual({ ok: true, lines: ['the configuration is valid'], problems: [] });
    const doubtful = { ...options, env: { ...CLOSED_ENV, FACTEUR_DISCORD_PUBLIC_KEY: 'your-discord-public-key' } };
    const { ok, lines } = await checkConfig(doubtful);
    expect(ok).toBe(true);
    expect(lines.at(-1)).toBe('the configuration is valid, with 1 warning');
  });

  test('does not report an exception as an error of the configuration', async () => {
    const env = new Proxy(
      {},
      {
        get: () => {
          throw new RangeError('broken');
        },
      },
    );
    await expect(checkConfig({ env, readFile: async () => '' })).rejects.toThrow(RangeError);
  });
});

describe('config print', () => {
  const yaml = "argo: { parameters: { rawEvent: '' } }\nserver: { listen_address: ':1' }";

  test('YAML has the source of each value, and can be parsed again', async () => {
    const result = await loadYaml(yaml, { FACTEUR_SERVER_API_TOKENS: 'a,b', FACTEUR_DISABLE_DISPATCHER: 'yes' });
    const printed = printConfig(result, 'yaml');
    expect(printed).toContain('  listen_address: :1 # facteur.yaml:2:27\n');
    expect(printed).toContain('  bot_token: "***" # env FACTEUR_DISCORD_BOT_TOKEN\n');
    expect(printed).toContain('  max_body_bytes: 4194304 # default\n');
    expect(printed).toContain('  intake_tokens: [] # default\n');
    expect(printed).toContain('  api_tokens:\n    # env FACTEUR_SERVER_API_TOKENS\n    - "***"\n    - "***"\n');
    expect(printed).toContain('  parameters:\n    # facteur.yaml:1:21\n    rawEvent: ""\n');
    expect(printed).toContain('# FACTEUR_DISABLE_DISPATCHER=true');
    expect(parse(printed)).toMatchObject({ server: { listen_address: ':1' }, argo: { namespace: 'argo' } });
  });

  test.each(['yaml', 'json'] as const)('shows a proxy without its password: %s', async (format) => {
    const proxies = { HTTP_PROXY: 'http://me:hunter2@plain:3128', HTTPS_PROXY: 'http://me:hunter2@secure:3128' };
    const printed = printConfig(await loadYaml('', { ...CLOSED_ENV, ...proxies }), format);
    expect(printed).toContain('http://me:***@plain:3128');
    expect(printed).toContain('http://me:***@secure:3128');
    expect(printed).not.toContain('hunter2');
  });

  test('JSON separates values and sources', async () => {
    const printed = JSON.parse(printConfig(await loadYaml(yaml, { KUBECONFIG: '/kube' }), 'json'));
    expect(printed.config.server.listen_address).toBe(':1');
    expect(printed.config.postgres.dsn).toBe('pglite:memory');
    expect(printed.sources).toMatchObject({
      'server.listen_address': 'facteur.yaml:2:27',
      'argo.namespace': 'env FACTEUR_ARGO_NAMESPACE',
      'consumer.max_wait': 'default',
    });
    expect(printed.sources).not.toHaveProperty('discord.guild_id');
    expect(printed.environment).toEqual({ KUBECONFIG: '/kube' });
  });
});
