import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { SNOWFLAKE } from '../domain/snowflake.ts';
import { listKeys } from './keys.ts';
import { configSchema, keyTable } from './report.ts';

const root = join(import.meta.dirname, '..', '..');

async function readJson(path: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(root, path), 'utf8'));
}

/** The formatter may pad the cells of a table. */
function cells(table: string): readonly string[] {
  return table
    .trim()
    .split('\n')
    .filter((line) => !/^[|\s-]+$/.test(line))
    .map((line) => line.replaceAll(/\s+/g, ' '));
}

describe('generated files (node scripts/generate-config.ts) are up to date', () => {
  test('schemas/facteur.schema.json', async () => {
    expect(await readJson('schemas/facteur.schema.json')).toEqual(JSON.parse(configSchema()));
  });

  test('the table in docs/configuration.md', async () => {
    const page = await readFile(join(root, 'docs', 'configuration.md'), 'utf8');
    const table = /<!-- keys -->(.*)<!-- \/keys -->/s.exec(page)?.[1] ?? '';
    expect(cells(table)).toEqual(cells(keyTable()));
  });
});

describe('the keys', () => {
  test('each has a description for the table and a variable of its own', () => {
    const keys = listKeys();
    expect(keys.filter((info) => info.about === '')).toEqual([]);
    expect(new Set(keys.map((info) => info.variable)).size).toBe(keys.length);
    expect(keys.map((info) => info.variable)).toContain('FACTEUR_CODEX_LISTENER_TLS_INSECURE_SKIP_VERIFY');
  });

  test('the secret ones are marked', () => {
    const secret = listKeys().filter((info) => info.secret !== 'no');
    expect(secret.map((info) => `${info.key} ${info.secret}`)).toEqual([
      'server.intake_tokens whole',
      'server.api_tokens whole',
      'server.public_url url',
      'server.run_token_keys whole',
      'discord.bot_token whole',
      'discord.api_base_url url',
      'redis.url url',
      'postgres.dsn url',
      'argo.ui_url url',
      'consumer.sasl.password whole',
      'codex_listener.sasl.password whole',
      'embeddings.url url',
      'embeddings.api_key whole',
    ]);
  });
});

describe('the JSON Schemas', () => {
  test('the one of the file rejects what the loader reports', () => {
    const schema = z.fromJSONSchema(JSON.parse(configSchema()));
    expect(schema.safeParse({}).success).toBe(true);
    expect(schema.safeParse({ server: { listen_adress: ':8080' } }).success).toBe(false);
    expect(schema.safeParse({ role_map: { plan: ['admin'] } }).success).toBe(false);
    expect(schema.safeParse({ role_map: { Plan: [] } }).success).toBe(false);
    expect(schema.safeParse({ role_map: { 'deploy db backup': [], prüfen: [] } }).success).toBe(true);
    expect(schema.safeParse({ consumer: { max_attempts: 0 } }).success).toBe(false);
    expect(JSON.parse(configSchema())).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema' });
  });

  test('the one of the role map has the patterns that the loader checks', async () => {
    const schema = await readJson('schemas/facteur-discord-role-map.schema.json');
    expect(schema['patternProperties']).toMatchObject({
      '^[a-z0-9:_-]+$': { uniqueItems: true, items: { pattern: SNOWFLAKE.source } },
    });
    const checked = z.fromJSONSchema(schema);
    expect(checked.safeParse({ plan: ['123456789012345678'], 'codex:run': [] }).success).toBe(true);
    expect(checked.safeParse({ plan: ['admin'] }).success).toBe(false);
    expect(checked.safeParse({ PLAN: [] }).success).toBe(false);
  });
});
