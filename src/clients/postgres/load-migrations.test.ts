import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadMigrations, parseMigration, splitStatements } from './load-migrations.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'facteur-migrations-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function load(...names: string[]): Promise<string[]> {
  for (const name of names) {
    await writeFile(join(directory, name), 'SELECT 1;\n');
  }
  return (await loadMigrations(pathToFileURL(`${directory}/`))).map(({ version, name }) => `${version} ${name}`);
}

test('reads the numbered files in order and ignores others', async () => {
  expect(await load('000002_b.sql', '000001_a.sql', 'schema.sql', 'README.md')).toEqual([
    '1 000001_a.sql',
    '2 000002_b.sql',
  ]);
});

test.each([
  ['a gap', ['000001_a.sql', '000003_c.sql'], '000003_c.sql should be number 2'],
  ['a duplicate number', ['000001_a.sql', '000001_b.sql'], '000001_b.sql should be number 2'],
  ['a late start', ['000002_a.sql'], '000002_a.sql should be number 1'],
  ['an empty directory', [], 'has no migrations'],
])('rejects %s', async (_case, names, why) => {
  await expect(load(...names)).rejects.toThrow(why);
});

test('the repository’s own migrations are in order, and the first three have the names of the Go service’s', async () => {
  const names = (await loadMigrations(new URL('../../../migrations/', import.meta.url))).map(({ name }) => name);
  expect(names.slice(0, 3)).toEqual([
    '000001_init_codex_kb.sql',
    '000002_codex_kb_intake_constraints.sql',
    '000003_reflection_idempotency.sql',
  ]);
});

test('the checksum of a file ignores line endings, and nothing else', () => {
  const sum = (text: string): string => parseMigration('000001_a.sql', text).sha256;
  expect(sum('SELECT 1;\r\n')).toBe(sum('SELECT 1;\n'));
  expect(sum('SELECT 2;\n')).not.toBe(sum('SELECT 1;\n'));
});

test('only the first line turns the transaction off', () => {
  expect(parseMigration('000001_a.sql', '-- no-transaction\r\nSELECT 1;').transactional).toBe(false);
  expect(parseMigration('000001_a.sql', 'SELECT 1;\n-- no-transaction\n').transactional).toBe(true);
});

test('splits statements at the ends of lines, and drops comments', () => {
  expect(
    splitStatements(`-- no-transaction\n-- why; because\nSELECT ';' AS a,\n  2;\n\nSELECT 3;   \n-- end\n`),
  ).toEqual([`SELECT ';' AS a,\n  2`, 'SELECT 3']);
});

test('does not split the body of a function', () => {
  const body = 'CREATE FUNCTION f() RETURNS int AS $$\nBEGIN\n  PERFORM 1;\n  RETURN 2;\nEND\n$$';
  expect(splitStatements(`SELECT 1;\n${body};\nSELECT 3;\n`)).toEqual(['SELECT 1', body, 'SELECT 3']);
});
