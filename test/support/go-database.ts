import { readFile } from 'node:fs/promises';
import type { Database } from '../../src/clients/postgres/database.ts';
import { manifest, TEMPLATE, type Json } from './cluster.ts';

const FIXTURES = new URL('../fixtures/go-database/', import.meta.url);

/** The schema of each migration of the Go service, and the rows written before the next one. */
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

/** Fills an empty database like the Go service's first `version` migrations and some work. */
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

/**
 * Writes the rows of the Go service for a Codex task before its create. It writes nothing after that.
 *
 * @returns the run's id
 */
export async function recordAsGo(
  db: Database,
  deliveryId: string,
  queuedAt = new Date(Date.now() - 60_000),
): Promise<string> {
  const { rows } = await db.query<{ id: string }>({
    text: `WITH idea AS (
        INSERT INTO codex_kb.ideas (source_type, source_ref, status, payload)
        VALUES ('github_issue', 'acme/rocket#7', 'received', '{"stage": "implementation"}')
        ON CONFLICT (source_type, source_ref) DO UPDATE SET updated_at = now() RETURNING id
      ), task AS (
        INSERT INTO codex_kb.tasks (idea_id, stage, state, metadata)
        SELECT id, 'implementation', 'queued', jsonb_build_object('deliveryId', $1::text) FROM idea
        ON CONFLICT (idea_id, stage) DO UPDATE SET metadata = EXCLUDED.metadata RETURNING id
      )
      INSERT INTO codex_kb.task_runs (task_id, status, queued_at, metadata, delivery_id)
      SELECT id, 'queued', $2, jsonb_build_object('deliveryId', $1::text, 'workflowTemplate', $3::text), $1 FROM task
      RETURNING id`,
    values: [deliveryId, queuedAt, TEMPLATE.name],
  });
  return rows[0]!.id;
}

/** The workflow that the Go service creates for a Codex task. Without an issue it has no label. */
export function goWorkflow(name: string, deliveryId: string, issue = '7'): Json {
  const labels: Record<string, string> = issue === '0' ? {} : { 'codex.issue_number': issue };
  // Go's protojson inserts arbitrary blanks.
  const task = `{"stage": "CODEX_TASK_STAGE_IMPLEMENTATION",  "issueNumber":"${issue}", "deliveryId":${JSON.stringify(deliveryId)}}`;
  return manifest(name, labels, { rawEvent: Buffer.from(task).toString('base64'), head: 'codex/mend', base: 'main' });
}

function fixture(name: string): Promise<string> {
  return readFile(new URL(name, FIXTURES), 'utf8');
}
