import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { formatFault } from './fault.ts';
import type { ConfigResult } from './load.ts';
import { listKeys } from './keys.ts';
import { loadConfig } from './load.ts';
import { checkConfig, configSchema } from './report.ts';

const root = join(import.meta.dirname, '..', '..');
const read = async (path: string): Promise<string> => readFile(join(root, path), 'utf8');

async function load(path: string, env: Record<string, string> = {}): Promise<ConfigResult> {
  return loadConfig({ path, env, readFile: read });
}

const SECRETS = { FACTEUR_DISCORD_BOT_TOKEN: 'token', FACTEUR_DISCORD_APPLICATION_ID: '123456789012345678' };
const PLACEHOLDER = 'discord.public_key is not 64 hex digits, so /discord/interactions answers 503';

describe('a file of the Go service', () => {
  test('loads unchanged', async () => {
    const { config, warnings } = await load('test/fixtures/config/go-service.yaml');
    expect(warnings.map((warning) => warning.message)).toEqual([PLACEHOLDER]);
    expect(config.server).toMatchObject({ listeners: [{ host: '', port: 8080 }] });
    expect(config.postgres.dsn.reveal()).toBe('postgres://facteur:facteur@facteur-db:5432/facteur_kb?sslmode=disable');
    expect(config.argo).toEqual({
      namespace: 'argo',
      workflowTemplate: 'facteur-dispatch',
      serviceAccount: 'facteur',
      parameters: { environment: 'staging' },
    });
    expect(config.codex).toEqual({
      enabled: false,
      namespace: 'argo',
      workflowTemplate: 'github-codex-implementation',
      serviceAccount: 'facteur',
      autonomousWorkflowTemplate: 'codex-autonomous',
      autonomousNamespace: 'jangar',
      autonomousServiceAccount: 'jangar-inspector',
      autonomousNamePrefix: 'codex-autonomous-',
      judgePrompt: '',
      reports: true,
      reflections: false,
      parameters: {
        rawEvent: '',
        eventBody: '',
        head: '',
        base: '',
        prompt: '',
        judge_prompt: '',
        implementation_iterations: '1',
        iteration_cycle: '1',
      },
    });
    expect(config.consumer).toEqual({
      enabled: true,
      brokers: ['localhost:9092'],
      topic: 'discord.commands.incoming',
      groupId: 'facteur',
      dlq: { enabled: false, topic: 'discord.commands.incoming.dlq' },
      maxAttempts: 5,
      minBytes: 1,
      maxBytes: 10_485_760,
      maxWaitMs: 1000,
    });
    expect(config.codexListener).toMatchObject({ enabled: true, topic: 'github.issues.codex.tasks' });
    expect(config.roleMap['review']).toHaveLength(3);
  });

  test('loads with placeholders and keys of another release, and warns about them', async () => {
    const { config, warnings } = await load('test/fixtures/config/go-local.yaml');
    expect(config.roleMap).toEqual({ plan: ['role'], implement: ['role'] });
    expect(warnings.map((warning) => warning.key)).toEqual([
      'discord.guild_id',
      'codex_dispatch',
      'codex_implementation_orchestrator.agents_base_url',
      'role_map.plan[0]',
      'role_map.implement[0]',
      'discord.public_key',
    ]);
  });
});

describe('an example', () => {
  test.each(['examples/facteur.yaml', 'examples/commands.yaml'])(
    '%s passes the check and its JSON Schema',
    async (path) => {
      const report = await checkConfig({ path, env: SECRETS, readFile: read });
      expect(report.lines.filter((line) => line.startsWith('error'))).toEqual([]);
      const schema = z.fromJSONSchema(JSON.parse(configSchema()));
      const outcome = schema.safeParse(parse(await read(path)));
      // The JSON Schema rejects only the placeholder of the public key.
      const paths = outcome.error?.issues.map((issue) => issue.path.join('.')) ?? [];
      expect(paths.filter((at) => at !== 'discord.public_key')).toEqual([]);
    },
  );

  test('examples/facteur.yaml loads to the same configuration as the fixture of the Go service', async () => {
    const ours = await load('examples/facteur.yaml');
    const theirs = await load('test/fixtures/config/go-service.yaml');
    expect(ours.config).toEqual(theirs.config);
  });

  /** With its commented keys: `# key:` in the place of the key. Prose begins with a capital letter or has no colon. */
  async function uncommentedExample(): Promise<string> {
    const text = await read('examples/facteur.yaml');
    return text.replaceAll(/^( *)# ((?: *)(?:- )?[a-z_]+:(?: .*)?)$/gm, '$1$2');
  }

  test('examples/facteur.yaml shows every key', async () => {
    const shown = parse(await uncommentedExample());
    const has = (key: string) => key.split('.').reduce((value, part) => value?.[part], shown) !== undefined;
    expect(listKeys().flatMap(({ key }) => (has(key) ? [] : [key]))).toEqual([]);
  });

  test('the commented keys of examples/facteur.yaml are valid, too', async () => {
    const uncommented = await uncommentedExample();
    const { config } = await loadConfig({ path: 'f', env: {}, readFile: async () => uncommented });
    expect(config.commands['deploy']?.options[0]?.choices).toHaveLength(2);
    expect(config.embeddings?.dimensions).toBe(1536);
    expect(config.argo).toMatchObject({ uiUrl: 'https://argo.example.org', maxActive: 20 });
    expect(config.server.intakeTokens).toHaveLength(1);
    expect(config.telemetry.traceUrl).toBe('https://jaeger.example.org/trace/{trace_id}');
  });

  test('examples/commands.yaml keeps its form and its options', async () => {
    const { config, warnings } = await load('examples/commands.yaml', SECRETS);
    expect(warnings.map(formatFault)).toEqual([]);
    expect(config.commands['deploy']?.options.map((option) => option.name)).toEqual([
      'environment',
      'version',
      'replicas',
      'after',
      'force',
    ]);
    expect(config.commands['ask']?.modal?.fields.map((field) => field.required)).toEqual([true, false]);
  });
});
