import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../test/support/database.ts';
import { schemaFile, schemaText } from './schema-text.ts';

let migrated: TestDatabase;

beforeAll(async () => {
  migrated = await createTestDatabase();
});

afterAll(async () => {
  await migrated.close();
});

test('migrations/schema.sql is up to date: run "npm run db:dump" if this fails', async () => {
  await expect(await schemaFile(migrated.db)).toMatchFileSnapshot('../migrations/schema.sql');
});

test('the text recreates exactly the schema that it describes', async () => {
  const text = await schemaText(migrated.db);
  const other = await createTestDatabase({ migrated: false });
  await other.db.query({ text: `CREATE EXTENSION vector; ${text}` });
  expect(await schemaText(other.db)).toBe(text);
  await other.close();
});

test.each([
  ['a column type', 'ALTER TABLE codex_kb.run_metrics ALTER COLUMN runtime_ms TYPE numeric(50)'],
  ['a default', `ALTER TABLE codex_kb.tasks ALTER COLUMN stage SET DEFAULT 'x'`],
  ['a NOT NULL constraint', 'ALTER TABLE codex_kb.tasks ALTER COLUMN assignee SET NOT NULL'],
  ['a check', 'ALTER TABLE codex_kb.tasks ADD CHECK (stage <> $$$$)'],
  [
    'the action of a foreign key',
    'ALTER TABLE codex_kb.tasks DROP CONSTRAINT tasks_idea_id_fkey, ADD CONSTRAINT tasks_idea_id_fkey FOREIGN KEY (idea_id) REFERENCES codex_kb.ideas',
  ],
  ['an index', 'CREATE INDEX ON codex_kb.tasks (assignee)'],
  ['a view', 'CREATE VIEW facteur.v AS SELECT 1 AS one'],
  ['a function', `CREATE FUNCTION facteur.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`],
  [
    'a trigger',
    `CREATE FUNCTION facteur.g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER t BEFORE INSERT ON codex_kb.tasks FOR EACH ROW EXECUTE FUNCTION facteur.g()`,
  ],
])('a change of %s changes the text', async (_what, change) => {
  const before = await schemaText(migrated.db);
  await migrated.db.query({ text: change });
  expect(await schemaText(migrated.db)).not.toBe(before);
});
