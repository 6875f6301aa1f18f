import type { Queryable } from '../../src/clients/postgres/database.ts';
import type { ReflectionState } from '../../src/ledger/search-reflections.ts';

/** A reflection as described by a test. */
export interface SeededReflection {
  readonly content: string;
  readonly repository?: string;
  readonly type?: string;
  readonly state?: ReflectionState;
  readonly embedding?: readonly number[] | null;
  readonly embeddingVersion?: string | null;
}

export interface SeededRow {
  readonly id: string;
  readonly runId: string;
}

/** Writes reflections like the Go service, each for its own run, in one statement. Then sets their states. */
export async function seedReflections(db: Queryable, reflections: readonly SeededReflection[]): Promise<SeededRow[]> {
  const input = reflections.map((reflection, place) => ({
    place,
    content: reflection.content,
    repository: reflection.repository ?? 'acme/rocket',
    type: reflection.type ?? 'critique',
    embedding:
      reflection.embedding === undefined || reflection.embedding === null ? null : JSON.stringify(reflection.embedding),
    version: reflection.embeddingVersion ?? null,
  }));
  const { rows } = await db.query<SeededRow>({ text: SEED, values: [JSON.stringify(input)] });
  const states = reflections.map(({ state }, place) => ({ id: rows[place]!.id, state: state ?? 'quarantined' }));
  await db.query({
    text: `UPDATE facteur.reflection_standing s SET state = t.state
      FROM json_to_recordset($1::json) AS t (id uuid, state text) WHERE t.id = s.reflection_id AND t.state <> s.state`,
    values: [JSON.stringify(states)],
  });
  return rows;
}

const SEED = `
WITH input AS MATERIALIZED (
  SELECT gen_random_uuid() AS id, gen_random_uuid() AS run_id, t.*
  FROM json_to_recordset($1::json) AS t (place int, content text, repository text, type text, embedding text, version text)
), idea AS (
  INSERT INTO codex_kb.ideas (source_type, source_ref, status, payload)
  SELECT DISTINCT 'github_issue', repository || '#7', 'received', '{}'::jsonb FROM input
  ON CONFLICT (source_type, source_ref) DO UPDATE SET updated_at = now() RETURNING id, source_ref
), task AS (
  INSERT INTO codex_kb.tasks (idea_id, stage, state) SELECT id, 'implementation', 'queued' FROM idea
  ON CONFLICT (idea_id, stage) DO UPDATE SET updated_at = now() RETURNING id, idea_id
), run AS (
  INSERT INTO codex_kb.task_runs (id, task_id, status, delivery_id)
  SELECT run_id, task.id, 'queued', run_id FROM input
    JOIN idea ON source_ref = repository || '#7' JOIN task ON task.idea_id = idea.id
), taught AS (
  INSERT INTO codex_kb.reflections (id, task_run_id, author, reflection_type, content, embedding, embedding_version)
  SELECT id, run_id, 'codex', type, content, embedding::vector, version FROM input ORDER BY place
)
SELECT id, run_id AS "runId" FROM input ORDER BY place`;

/** Records that the runs of all other reflections received this one and succeeded. */
export async function receivedByAll(db: Queryable, source: SeededRow): Promise<void> {
  await db.query({
    text: `WITH run AS (
        INSERT INTO facteur.runs (run_id, delivery_id, delivery_key, kind, command, door, state, previous_state, namespace,
          workflow_name, correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at)
        SELECT id, id::text, id::text, 'codex', 'implementation', 'http', 'succeeded', 'running', 'argo', id::text, '', '', '', '',
          '', now() FROM codex_kb.task_runs RETURNING run_id
      ), retrieval AS (
        INSERT INTO facteur.retrievals (run_id, strategy, repository, asked_by) SELECT run_id, 'retrieve', '', '' FROM run
      )
      INSERT INTO facteur.reflection_uses (run_id, reflection_id, place) SELECT run_id, $1, 1 FROM run WHERE run_id <> $2`,
    values: [source.id, source.runId],
  });
}

/** 1,536 numbers, starting with these. */
export function vector(...numbers: readonly number[]): number[] {
  return [...numbers, ...Array.from({ length: 1536 - numbers.length }, () => 0)];
}
