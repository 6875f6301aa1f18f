import { readFile } from 'node:fs/promises';
import type { Database } from '../../src/clients/postgres/database.ts';

const FIXTURES = new URL('../fixtures/go-database/', import.meta.url);

/** What each of the Go service's migrations made, and what was worked with it before the next one. */
const STEPS = [['1.sql', '1-rows.sql'], ['2.sql'], ['3.sql', '3-rows.sql']] as const;

const TABLES = [
  'ideas',
  'tasks',
  'task_dependencies',
  'task_runs',
  'task_runs_history',
  'run_events',
  'artifacts',
  'reflections',
  'policy_checks',
  'run_metrics',
];

/** Makes of an empty database what the Go service's first `version` migrations and some work would have made of it. */
export async function makeGoDatabase(db: Database, version: 1 | 2 | 3): Promise<void> {
  await db.query({ text: 'CREATE EXTENSION IF NOT EXISTS vector' });
  await db.query({ text: await fixture('goose.sql') });
  for (const [index, files] of STEPS.slice(0, version).entries()) {
    for (const file of files) {
      await db.query({ text: await fixture(file) });
    }
    await db.query({
      text: 'INSERT INTO public.goose_db_version (version_id, is_applied) VALUES ($1, true)',
      values: [index + 1],
    });
  }
}

/** Every row of the shared tables, as JSON text without the columns `ignored`, by table. */
export async function goRows(db: Database, ignored: readonly string[] = []): Promise<Record<string, string[]>> {
  const rows: Record<string, string[]> = {};
  for (const table of TABLES) {
    const text = `SELECT (to_jsonb(t) - $1::text[])::text AS row FROM codex_kb.${table} AS t ORDER BY 1`;
    rows[table] = (await db.query<{ row: string }>({ text, values: [ignored] })).rows.map(({ row }) => row);
  }
  return rows;
}

function fixture(name: string): Promise<string> {
  return readFile(new URL(name, FIXTURES), 'utf8');
}
