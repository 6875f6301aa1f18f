import type { Queryable } from '../clients/postgres/database.ts';
import { readPage, type Page } from './page.ts';
import {
  addOrFind,
  OF_RUN,
  readReports,
  ROOM_FOR_EVENT,
  RUN_IN_REACH,
  writeReport,
  writtenRow,
  type ReportKind,
  type Reporter,
  type RunScope,
  type Written,
} from './write-report.ts';

type Json = Readonly<Record<string, unknown>>;

/** Maximum number of rows per kind and run, because the run's workflow writes them. */
const RUN_LIMITS = { events: 1000, artifacts: 200, policyChecks: 200, reflections: 20 } as const;

const EVENT: ReportKind = {
  name: 'add-run-event',
  counted: 'codex_kb.run_events WHERE task_run_id = $1',
  limit: RUN_LIMITS.events,
  earlier: `SELECT e.* FROM codex_kb.run_events e, run
    WHERE e.task_run_id = run.id AND e.payload ? 'idempotencyKey' AND e.payload ->> 'idempotencyKey' = $6 AND $6 <> ''`,
  insert: `INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
    SELECT run.id, $4, $3, $5::jsonb FROM run, room WHERE room.room
    ON CONFLICT (task_run_id, (payload ->> 'idempotencyKey')) WHERE payload ? 'idempotencyKey' DO NOTHING`,
  columns: 'emitted_at AS at',
};

/** Adds an event; repeating a `key` of this run changes nothing. */
export function addRunEvent(
  db: Queryable,
  reporter: Reporter,
  { type, payload, key }: { readonly type: string; readonly payload: Json; readonly key: string },
): Promise<Written<{ readonly at: Date }>> {
  const stored = key === '' ? payload : { ...payload, idempotencyKey: key };
  return writeReport(db, EVENT, reporter, [type, JSON.stringify(stored), key]);
}

interface NewArtifact {
  readonly type: string;
  readonly uri: string;
  readonly checksum: string | null;
  readonly metadata: Json;
}

interface Artifact extends NewArtifact {
  readonly artifactId: string;
  readonly createdAt: Date;
}

const ARTIFACT: ReportKind = {
  name: 'add-artifact',
  counted: 'codex_kb.artifacts WHERE task_run_id = $1',
  limit: RUN_LIMITS.artifacts,
  earlier: `SELECT a.* FROM codex_kb.artifacts a, run
    WHERE a.uri = $5 AND a.task_run_id = run.id AND a.artifact_type = $4 AND a.checksum IS NOT DISTINCT FROM $6::text`,
  insert: `INSERT INTO codex_kb.artifacts (task_run_id, artifact_type, uri, checksum, metadata)
    SELECT run.id, $4, $5, $6, coalesce($7::jsonb, '{}') FROM run, room WHERE room.room
    ON CONFLICT (uri) DO NOTHING`,
  note: { type: 'artifact.added', payload: `jsonb_build_object('artifactId', id, 'type', artifact_type)` },
  columns: `id AS "artifactId", artifact_type AS type, uri, checksum, metadata, created_at AS "createdAt"`,
};

/** Adds an artifact. Its URI is unique across all runs: repeating it with the same run, type and checksum changes nothing. */
export function addArtifact(
  db: Queryable,
  reporter: Reporter,
  { type, uri, checksum, metadata }: NewArtifact,
): Promise<Written<Artifact>> {
  return writeReport(db, ARTIFACT, reporter, [type, uri, checksum, JSON.stringify(metadata)]);
}

/** The run's artifacts, oldest first. @param type if given, only artifacts of this type */
export function listArtifacts(db: Queryable, scope: RunScope, type?: string): Promise<Artifact[]> {
  const text = `SELECT ${ARTIFACT.columns} FROM codex_kb.artifacts
    WHERE ${OF_RUN} AND ($3::text IS NULL OR artifact_type = $3) ORDER BY created_at, id`;
  return readReports(db, scope, { name: 'list-artifacts', text, values: [type ?? null] });
}

export interface NewReflection {
  readonly type: string;
  readonly content: string;
  readonly metadata: Json;
  readonly embedding: readonly number[] | null;
  readonly embeddingVersion: string | null;
}

/** A lesson from a run. */
export interface Reflection {
  readonly reflectionId: string;
  readonly type: string;
  readonly author: string;
  readonly content: string;
  readonly embeddingVersion: string | null;
  readonly metadata: Json;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** One per run and type: a new text replaces the previous one. An unchanged text keeps its embedding. */
const REFLECTION: ReportKind = {
  name: 'save-reflection',
  counted: 'codex_kb.reflections WHERE task_run_id = $1 AND reflection_type <> $4',
  limit: RUN_LIMITS.reflections,
  earlier: `SELECT r.* FROM codex_kb.reflections r, run, room
    WHERE r.task_run_id = run.id AND r.reflection_type = $4 AND room.room`,
  insert: `INSERT INTO codex_kb.reflections AS r
      (task_run_id, reflection_type, author, content, embedding, embedding_version, metadata)
    SELECT run.id, $4, $3, $5, $6::vector, $7, $8::jsonb FROM run, room WHERE room.room
    ON CONFLICT (task_run_id, reflection_type) DO UPDATE SET author = EXCLUDED.author, content = EXCLUDED.content,
      embedding = CASE r.content WHEN EXCLUDED.content THEN coalesce(EXCLUDED.embedding, r.embedding)
        ELSE EXCLUDED.embedding END,
      embedding_version = CASE WHEN r.content = EXCLUDED.content AND EXCLUDED.embedding IS NULL
        THEN r.embedding_version ELSE EXCLUDED.embedding_version END,
      metadata = EXCLUDED.metadata, updated_at = now()
    WHERE (r.author, r.content, r.metadata) IS DISTINCT FROM (EXCLUDED.author, EXCLUDED.content, EXCLUDED.metadata)
      OR (EXCLUDED.embedding IS NOT NULL AND r.embedding_version IS DISTINCT FROM EXCLUDED.embedding_version)`,
  note: { type: 'reflection.saved', payload: `jsonb_build_object('reflectionId', id, 'type', reflection_type)` },
  columns: `id AS "reflectionId", reflection_type AS type, coalesce(author, '') AS author, content,
    embedding_version AS "embeddingVersion", metadata, created_at AS "createdAt", updated_at AS "updatedAt"`,
};

/** Saves a reflection; repeating it changes nothing. */
export function saveReflection(
  db: Queryable,
  reporter: Reporter,
  { type, content, metadata, embedding, embeddingVersion }: NewReflection,
): Promise<Written<Reflection>> {
  const vector = embedding === null ? null : JSON.stringify(embedding);
  return writeReport(db, REFLECTION, reporter, [type, content, vector, embeddingVersion, JSON.stringify(metadata)]);
}

/** The run's reflections, by type. @param withEmbedding includes the vectors: 1536 numbers each */
export function listReflections(
  db: Queryable,
  scope: RunScope,
  withEmbedding: boolean,
): Promise<(Reflection & { readonly embedding: readonly number[] | null })[]> {
  const text = `SELECT ${REFLECTION.columns}, CASE WHEN $3 THEN embedding::text::json END AS embedding
    FROM codex_kb.reflections WHERE ${OF_RUN} ORDER BY reflection_type`;
  return readReports(db, scope, { name: 'list-reflections', text, values: [withEmbedding] });
}

interface NewPolicyCheck {
  /** Chosen by the caller, so a repetition has the same id. */
  readonly checkId: string;
  readonly policyKey: string;
  readonly status: string;
  readonly evidenceUri: string | null;
  readonly metadata: Json;
}

interface PolicyCheck extends NewPolicyCheck {
  readonly createdAt: Date;
}

const CHECK: ReportKind = {
  name: 'add-policy-check',
  counted: 'codex_kb.policy_checks WHERE idea_id = (SELECT idea_id FROM run) AND task_run_id = $1',
  limit: RUN_LIMITS.policyChecks,
  earlier: 'SELECT c.* FROM codex_kb.policy_checks c, run WHERE c.id = $4::uuid AND c.task_run_id = run.id',
  insert: `INSERT INTO codex_kb.policy_checks (id, idea_id, task_run_id, policy_key, status, evidence_uri, metadata)
    SELECT $4::uuid, run.idea_id, run.id, $5, $6, $7, $8::jsonb FROM run, room WHERE room.room
    ON CONFLICT (id) DO NOTHING`,
  note: {
    type: 'check.added',
    payload: `jsonb_build_object('checkId', id, 'policyKey', policy_key, 'status', status)`,
  },
  columns: `id AS "checkId", policy_key AS "policyKey", status, evidence_uri AS "evidenceUri", metadata,
    created_at AS "createdAt"`,
};

/** Records the result of a policy check of the run; a repeated id changes nothing. */
export function addPolicyCheck(
  db: Queryable,
  reporter: Reporter,
  { checkId, policyKey, status, evidenceUri, metadata }: NewPolicyCheck,
): Promise<Written<PolicyCheck>> {
  return writeReport(db, CHECK, reporter, [checkId, policyKey, status, evidenceUri, JSON.stringify(metadata)]);
}

/** Results of policy checks of the run, newest first. @param policyKey if given, only this policy */
export function listPolicyChecks(db: Queryable, scope: RunScope, policyKey?: string): Promise<PolicyCheck[]> {
  const text = `SELECT ${CHECK.columns} FROM codex_kb.policy_checks
    WHERE idea_id = (SELECT k.idea_id FROM codex_kb.task_runs t JOIN codex_kb.tasks k ON k.id = t.task_id WHERE t.id = $1)
      AND ${OF_RUN} AND ($3::text IS NULL OR policy_key = $3)
    ORDER BY created_at DESC, id`;
  return readReports(db, scope, { name: 'list-policy-checks', text, values: [policyKey ?? null] });
}

/**
 * Records the result of a policy check of an idea, without a run; a repeated id changes nothing. `not_found`: the idea is
 * unknown, or the id belongs to another idea's check.
 */
export function addIdeaCheck(db: Queryable, ideaId: string, check: NewPolicyCheck): Promise<Written<PolicyCheck>> {
  return addOrFind(
    () => addIdeaCheckOnce(db, ideaId, check),
    (written) => written.kind !== 'not_found',
  );
}

async function addIdeaCheckOnce(db: Queryable, ideaId: string, check: NewPolicyCheck): Promise<Written<PolicyCheck>> {
  const { rows } = await db.query<PolicyCheck & { readonly isNew: boolean }>({
    name: 'add-idea-check',
    text: `WITH added AS (
        INSERT INTO codex_kb.policy_checks (id, idea_id, policy_key, status, evidence_uri, metadata)
        SELECT $2::uuid, id, $3, $4, $5, $6::jsonb FROM codex_kb.ideas WHERE id = $1
        ON CONFLICT (id) DO NOTHING
        RETURNING *
      )
      SELECT ${CHECK.columns}, "isNew" FROM (
        SELECT added.*, true AS "isNew" FROM added
        UNION ALL
        SELECT c.*, false FROM codex_kb.policy_checks c WHERE c.id = $2::uuid AND c.idea_id = $1
      ) present`,
    values: [ideaId, check.checkId, check.policyKey, check.status, check.evidenceUri, JSON.stringify(check.metadata)],
  });
  return writtenRow<PolicyCheck>(rows, 'not_found');
}

interface IdeaChecksQuery {
  readonly policyKey?: string | undefined;
  /** The id of the last check of the previous page. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Results of policy checks of an idea, newest first, whichever run they concern. */
export async function listIdeaChecks(
  db: Queryable,
  ideaId: string,
  { policyKey, after, limit }: IdeaChecksQuery,
): Promise<Page<PolicyCheck>> {
  return readPage<PolicyCheck>(db, {
    columns: CHECK.columns,
    from: `codex_kb.policy_checks WHERE idea_id = $1 AND ($2::text IS NULL OR policy_key = $2)
      AND ($3::uuid IS NULL OR (created_at, id) < ((SELECT created_at FROM codex_kb.policy_checks WHERE id = $3), $3))`,
    order: 'created_at DESC, id DESC',
    large: ['metadata'],
    values: [ideaId, policyKey ?? null, after ?? null],
    limit,
  });
}

/** Whether an idea has this check. */
export async function hasIdeaCheck(db: Queryable, ideaId: string, checkId: string): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'has-idea-check',
    text: 'SELECT FROM codex_kb.policy_checks WHERE id = $2 AND idea_id = $1',
    values: [ideaId, checkId],
  });
  return rowCount === 1;
}

/** Metrics that a workflow reports about itself; undefined fields do not change. */
interface NewRunMetrics {
  readonly queueLatencyMs: number | undefined;
  readonly runtimeMs: number | undefined;
  readonly retryLatencyMs: number | undefined;
  readonly resourceUsage: Json | undefined;
}

interface RunMetrics {
  readonly queueLatencyMs: string | null;
  readonly runtimeMs: string | null;
  readonly retryLatencyMs: string | null;
  readonly resourceUsage: Json;
}

const METRICS = `queue_latency_ms AS "queueLatencyMs", runtime_ms AS "runtimeMs", retry_latency_ms AS "retryLatencyMs",
  resource_usage AS "resourceUsage"`;

/** Merges metrics into those of a run. */
export async function putRunMetrics(
  db: Queryable,
  reporter: Reporter,
  metrics: NewRunMetrics,
): Promise<RunMetrics | undefined> {
  const { rows } = await db.query<RunMetrics>({
    name: 'put-run-metrics',
    text: `WITH ${RUN_IN_REACH}, note AS (
        INSERT INTO codex_kb.run_events (task_run_id, event_type, actor)
        SELECT id, 'metrics.reported', $3 FROM run WHERE ${ROOM_FOR_EVENT}
      )
      INSERT INTO codex_kb.run_metrics AS m (task_run_id, queue_latency_ms, runtime_ms, retry_latency_ms, resource_usage)
      SELECT run.id, $4, $5, $6, coalesce($7::jsonb, '{}') FROM run
      ON CONFLICT (task_run_id) DO UPDATE SET
        queue_latency_ms = coalesce(EXCLUDED.queue_latency_ms, m.queue_latency_ms),
        runtime_ms = coalesce(EXCLUDED.runtime_ms, m.runtime_ms),
        retry_latency_ms = coalesce(EXCLUDED.retry_latency_ms, m.retry_latency_ms),
        resource_usage = coalesce($7::jsonb, m.resource_usage)
      RETURNING ${METRICS}`,
    values: [
      reporter.runId,
      reporter.onlyRun,
      reporter.actor,
      metrics.queueLatencyMs ?? null,
      metrics.runtimeMs ?? null,
      metrics.retryLatencyMs ?? null,
      metrics.resourceUsage === undefined ? null : JSON.stringify(metrics.resourceUsage),
    ],
  });
  return rows[0];
}

export async function readRunMetrics(db: Queryable, scope: RunScope): Promise<RunMetrics | undefined> {
  const text = `SELECT ${METRICS} FROM codex_kb.run_metrics WHERE ${OF_RUN}`;
  const [metrics] = await readReports<RunMetrics>(db, scope, { name: 'read-run-metrics', text, values: [] });
  return metrics;
}
