import { expect } from 'vitest';
import type { Queryable } from '../../src/clients/postgres/database.ts';
import type { RunState } from '../../src/domain/run-state.ts';
import type { SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import type { Json } from './cluster.ts';

/**
 * Empties the ledger before each test. It deletes rows, because the embedded engine takes a hundred times as long to
 * truncate these tables. It is one statement, which may break references temporarily, and prepared, because planning it
 * takes four times as long as running it.
 */
export async function emptyLedger(db: Queryable): Promise<void> {
  const text = emptyings.get(db) ?? (await emptyingOf(db));
  emptyings.set(db, text);
  await db.query({ name: 'test-empty-ledger', text });
}

/** The statement for each database, created when its tables exist. */
const emptyings = new WeakMap<Queryable, string>();

async function emptyingOf(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ deletes: string }>({
    text: `SELECT string_agg(format('emptied_%s AS (DELETE FROM %s)', oid, oid::regclass), ', ') AS deletes
      FROM pg_class WHERE relkind = 'r' AND relnamespace IN ('codex_kb'::regnamespace, 'facteur'::regnamespace)
        AND oid <> 'facteur.migrations'::regclass`,
  });
  return `WITH ${rows[0]?.deletes} SELECT`;
}

/** Every row of every table about runs, as one text, to find secrets and lost rows. */
export async function wholeLedger(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ row: string }>({ name: 'test-whole-ledger', text: WHOLE });
  return rows.map(({ row }) => row).join('\n');
}

const TABLES = [
  'facteur.runs',
  'facteur.open_runs',
  'facteur.messages',
  'facteur.leases',
  'facteur.dead_letters',
  'facteur.refusals',
  'facteur.retrievals',
  'facteur.reflection_uses',
  'facteur.reflection_standing',
  'codex_kb.ideas',
  'codex_kb.tasks',
  'codex_kb.task_dependencies',
  'codex_kb.task_runs',
  'codex_kb.task_runs_history',
  'codex_kb.run_events',
  'codex_kb.run_metrics',
  'codex_kb.artifacts',
  'codex_kb.reflections',
  'codex_kb.policy_checks',
];

const WHOLE = [
  ...TABLES.map((table) => `SELECT '${table} ' || to_jsonb(t)::text AS row FROM ${table} AS t`),
  `SELECT encode(body, 'escape') FROM facteur.dead_letters`,
].join(' UNION ALL ');

/** The number of runs, in one state or in all. */
export async function countRuns(db: Queryable, state?: RunState): Promise<number> {
  const { rows } = await db.query<{ count: number }>({
    text: 'SELECT count(*)::int FROM facteur.runs WHERE $1::text IS NULL OR state = $1',
    values: [state ?? null],
  });
  return rows[0]?.count ?? -1;
}

/** One row of `facteur.runs`, by its delivery, with its due time. */
export async function runOf(db: Queryable, deliveryId: string): Promise<Json> {
  const { rows } = await db.query({
    name: 'test-run-of',
    text: `SELECT runs.*, due_at, claimed_until FROM facteur.runs LEFT JOIN facteur.open_runs USING (run_id) WHERE delivery_id = $1`,
    values: [deliveryId],
  });
  return rows[0];
}

/** A followed run may leave `submitted` before the test sees it, and never returns to it. */
const AFTER_SUBMITTED: ReadonlySet<RunState> = new Set(['running', 'succeeded', 'failed', 'error', 'lost']);

/** Waits until the delivery's run is in this state, or was `submitted`. @returns its row */
export async function expectRun(db: Queryable, deliveryId: string, state: RunState, timeout = 90_000): Promise<Json> {
  const reached = async (): Promise<RunState | undefined> => {
    // Runs many times per second: reads only what is needed.
    const text = 'SELECT state FROM facteur.runs WHERE delivery_id = $1';
    const { rows } = await db.query<{ state: RunState }>({ name: 'test-run-state', text, values: [deliveryId] });
    const now = rows[0]?.state;
    return state === 'submitted' && now !== undefined && AFTER_SUBMITTED.has(now) ? state : now;
  };
  await expect.poll(reached, { timeout, interval: 20 }).toBe(state);
  return runOf(db, deliveryId);
}

/** Expires claims and backoffs, as if time had passed. */
export async function timePasses(db: Queryable): Promise<void> {
  await db.query({
    text: 'UPDATE facteur.open_runs SET due_at = now(), claimed_until = NULL WHERE due_at IS NOT NULL',
  });
  await db.query({ text: `SELECT pg_notify('facteur_submit', '')` });
}

/** The names of the workflows that were ever created, in order. */
export function created(cluster: SimulatedCluster): string[] {
  return cluster.history.entries
    .filter(({ kind, resource }) => kind === 'create' && resource === 'workflows')
    .map(({ name }) => name);
}

/** How many requests of a kind have reached the cluster. */
export function requests(cluster: SimulatedCluster, verb: string): number {
  return (cluster.state()['requests'] as Record<string, number>)[verb] ?? 0;
}
