import type { Queryable } from '../clients/postgres/database.ts';
import { RETRIEVAL_LOG, ROUTER_POLICY, type RetrievalStrategy } from '../domain/retrieval.ts';

/** A reflection that a run receives. */
interface NewUse {
  readonly reflectionId: string;
  readonly place: number;
  readonly similarity: number | null;
}

/** The decision for a run. */
interface NewRetrieval {
  readonly runId: string;
  readonly strategy: RetrievalStrategy;
  readonly repository: string;
  readonly askedBy: string;
  readonly uses: readonly NewUse[];
  /** What the run receives; null if it receives nothing. */
  readonly composition: unknown;
  /** The candidates and their weights; null without a search. */
  readonly log: unknown;
}

/** The recorded reflections of a run. */
interface RecordedRetrieval {
  readonly composition: unknown;
  /** The ones among them that still exist and are still trusted. */
  readonly trusted: readonly string[];
}

const RUN = `run AS (
  SELECT t.id, k.idea_id FROM codex_kb.task_runs t JOIN codex_kb.tasks k ON k.id = t.task_id WHERE t.id = $1
)`;
/** One id per run, as version 8 of RFC 9562, whose bits are free. */
const CHECK_ID = `overlay(overlay(md5($1::uuid || ' ${ROUTER_POLICY}') PLACING '8' FROM 13) PLACING '8' FROM 17)::uuid`;
const LOG_URI = `'facteur://runs/' || $1::uuid || '/retrieval'`;

/**
 * Records the decision, its uses and the visible records in one statement: a second call changes nothing. Reflections that were
 * retired or deleted since they were found are not used.
 */
const RECORD = `
WITH ${RUN}, decided AS (
  INSERT INTO facteur.retrievals (run_id, strategy, repository, asked_by, composition)
  VALUES ($1, $2, lower($3), $4, $5::json)
  ON CONFLICT (run_id) DO NOTHING
  RETURNING run_id
), used AS (
  INSERT INTO facteur.reflection_uses (run_id, reflection_id, place, similarity)
  SELECT decided.run_id, use."reflectionId", use.place, use.similarity
  FROM decided, json_to_recordset($6::json) AS use ("reflectionId" uuid, place smallint, similarity real)
    JOIN facteur.reflection_standing s ON s.reflection_id = use."reflectionId"
  WHERE s.state = 'trusted'
  RETURNING reflection_id
), checked AS (
  INSERT INTO codex_kb.policy_checks (id, idea_id, task_run_id, policy_key, status, metadata)
  SELECT ${CHECK_ID}, run.idea_id, run.id, '${ROUTER_POLICY}', CASE $2 WHEN 'retrieve' THEN 'pass' ELSE 'waived' END,
    jsonb_build_object('strategy', $2::text, 'retrievalUsed', $2 = 'retrieve', 'reflections', json_array_length($6::json))
  FROM run, decided
  ON CONFLICT (id) DO NOTHING
), logged AS (
  INSERT INTO codex_kb.artifacts (task_run_id, artifact_type, uri, metadata)
  SELECT run.id, '${RETRIEVAL_LOG}', ${LOG_URI}, $7::jsonb FROM run, decided WHERE $7::jsonb IS NOT NULL
  ON CONFLICT (uri) DO NOTHING
)
SELECT EXISTS (SELECT FROM decided) AS recorded, ARRAY(SELECT reflection_id::text FROM used) AS trusted`;

/**
 * Records what a run receives.
 *
 * @returns the reflections that it may receive, or undefined if that was already decided
 */
export async function recordRetrieval(db: Queryable, retrieval: NewRetrieval): Promise<readonly string[] | undefined> {
  const { runId, strategy, repository, askedBy, uses, composition, log } = retrieval;
  const { rows } = await db.query<{ readonly recorded: boolean; readonly trusted: readonly string[] }>({
    name: 'record-retrieval',
    text: RECORD,
    values: [
      runId,
      strategy,
      repository,
      askedBy,
      composition === null ? null : JSON.stringify(composition),
      JSON.stringify(uses),
      log === null ? null : JSON.stringify(log),
    ],
  });
  return rows[0]?.recorded === true ? rows[0].trusted : undefined;
}

/** Records that the workflow was created before there was a decision, so it received nothing, whatever the decision says. */
export async function recordLateRetrieval(
  db: Queryable,
  { runId, repository, askedBy }: Pick<NewRetrieval, 'runId' | 'repository' | 'askedBy'>,
): Promise<void> {
  await db.query({
    name: 'record-late-retrieval',
    text: `WITH ${RUN}, decided AS (
        INSERT INTO facteur.retrievals AS r (run_id, strategy, repository, asked_by)
        VALUES ($1, 'timed_out', lower($2), $3)
        ON CONFLICT (run_id) DO UPDATE SET strategy = 'timed_out', composition = NULL
      ), unused AS (
        DELETE FROM facteur.reflection_uses WHERE run_id = $1
      ), unlogged AS (
        DELETE FROM codex_kb.artifacts WHERE uri = ${LOG_URI} AND artifact_type = '${RETRIEVAL_LOG}'
      )
      INSERT INTO codex_kb.policy_checks AS c (id, idea_id, task_run_id, policy_key, status, metadata)
      SELECT ${CHECK_ID}, run.idea_id, run.id, '${ROUTER_POLICY}', 'waived',
        jsonb_build_object('strategy', 'timed_out', 'retrievalUsed', false, 'reflections', 0)
      FROM run
      ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status, metadata = EXCLUDED.metadata`,
    values: [runId, repository, askedBy],
  });
}

/** The earlier decision for a run; undefined if there is none. */
export async function readRetrieval(db: Queryable, runId: string): Promise<RecordedRetrieval | undefined> {
  const { rows } = await db.query<RecordedRetrieval>({
    name: 'read-retrieval',
    text: `SELECT composition, ARRAY(
          SELECT s.reflection_id::text FROM facteur.reflection_uses u JOIN facteur.reflection_standing s USING (reflection_id)
          WHERE u.run_id = r.run_id AND s.state = 'trusted') AS trusted
      FROM facteur.retrievals r WHERE run_id = $1`,
    values: [runId],
  });
  return rows[0];
}

/** The outcomes of the latest runs that received a reflection. */
interface ReflectionOutcomes {
  readonly reflectionId: string;
  readonly helped: number;
  readonly hurt: number;
}

export interface UseFacts {
  readonly outcomes: readonly ReflectionOutcomes[];
  /** Outcomes of runs of the command that received nothing, in 90 days: in all repositories, and in this one. */
  readonly everywhere: { readonly helped: number; readonly hurt: number };
  readonly here: { readonly helped: number; readonly hurt: number };
  /** The runs that wrote the reflections. */
  readonly writers: readonly { readonly runId: string; readonly command: string; readonly state: string }[];
}

/** Only these states say something about the advice. */
const TELLING = `state IN ('succeeded', 'failed')`;

/**
 * This many of a reflection's latest uses rank it. Every submission reads them for 20 candidates, so the number must not grow
 * with the ledger. 200 are enough: chance then changes a rank by at most 3.5 % (95 %), which is two places in one ranking. Uses
 * whose runs are still live, or say nothing about the advice, are among the 200 but do not count.
 */
export const RANKED_USES = 200;

/** `LIMIT 1` makes it a lookup per use: a plain join may read all runs. */
const FACTS = `
WITH outcomes AS (
  SELECT u.reflection_id AS "reflectionId", count(*) FILTER (WHERE r.state = 'succeeded')::int AS helped,
    count(*) FILTER (WHERE r.state = 'failed')::int AS hurt
  FROM unnest($1::uuid[]) AS found (id) CROSS JOIN LATERAL (
    SELECT reflection_id, run_id FROM facteur.reflection_uses WHERE reflection_id = found.id
    ORDER BY decided_at DESC, run_id DESC LIMIT ${RANKED_USES}
  ) u CROSS JOIN LATERAL (SELECT state FROM facteur.runs WHERE run_id = u.run_id LIMIT 1) r
  GROUP BY 1
), without AS (
  SELECT r.state, x.repository FROM (
    SELECT run_id, state FROM facteur.runs
    WHERE command = $3 AND accepted_at > now() - interval '90 days' AND ${TELLING}
    ORDER BY accepted_at DESC, run_id DESC LIMIT 1000
  ) r LEFT JOIN facteur.retrievals x USING (run_id)
  WHERE x.strategy IS DISTINCT FROM 'retrieve'
)
SELECT (SELECT coalesce(json_agg(outcomes), '[]') FROM outcomes) AS outcomes,
  (SELECT coalesce(json_agg(json_build_object('runId', run_id, 'command', command, 'state', state)), '[]')
    FROM facteur.runs WHERE run_id = ANY ($2)) AS writers,
  json_build_object('helped', count(*) FILTER (WHERE state = 'succeeded'), 'hurt', count(*) FILTER (WHERE state = 'failed')) AS everywhere,
  json_build_object('helped', count(*) FILTER (WHERE state = 'succeeded' AND repository = lower($4)),
    'hurt', count(*) FILTER (WHERE state = 'failed' AND repository = lower($4))) AS here
FROM without`;

/** What outcomes say about some reflections that a run of this command might receive. */
export async function readUseFacts(
  db: Queryable,
  found: readonly { readonly id: string; readonly runId: string }[],
  { command, repository }: { readonly command: string; readonly repository: string },
): Promise<UseFacts> {
  const { rows } = await db.query<UseFacts>({
    name: 'read-use-facts',
    text: FACTS,
    values: [found.map(({ id }) => id), found.map(({ runId }) => runId), command, repository],
  });
  const nothing = { helped: 0, hurt: 0 };
  return rows[0] ?? { outcomes: [], everywhere: nothing, here: nothing, writers: [] };
}
