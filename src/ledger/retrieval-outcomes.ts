import type { Queryable } from '../clients/postgres/database.ts';
import type { RetrievalStrategy } from '../domain/retrieval.ts';

/** The outcomes of runs with a decision about reflections. */
export interface RetrievalOutcomes {
  readonly command: string;
  readonly repository: string;
  readonly strategy: RetrievalStrategy;
  readonly succeeded: number;
  readonly failed: number;
  /** Still live, or ended in a way that says nothing about advice. */
  readonly other: number;
}

/** Maximum number of runs that are read, the newest, and of groups that are shown, those with the most runs. */
const [LOOKED_AT, SHOWN_GROUPS] = [100_000, 500];

/**
 * The outcomes of the runs of the last `days` days, by command, repository and strategy; not `complete` if there are more runs or
 * groups than the limits.
 */
export async function retrievalOutcomes(
  db: Queryable,
  days: number,
): Promise<{ readonly outcomes: readonly RetrievalOutcomes[]; readonly complete: boolean }> {
  const { rows } = await db.query<{ readonly outcomes: RetrievalOutcomes[]; readonly complete: boolean }>({
    name: 'retrieval-outcomes',
    text: `WITH recent AS (
        SELECT run_id, command, state FROM facteur.runs WHERE accepted_at > now() - make_interval(days => $1)
        ORDER BY accepted_at DESC, run_id DESC LIMIT ${LOOKED_AT + 1}
      ), counted AS (
        SELECT f.command, x.repository, x.strategy, count(*) FILTER (WHERE f.state = 'succeeded')::int AS succeeded,
          count(*) FILTER (WHERE f.state = 'failed')::int AS failed,
          count(*) FILTER (WHERE f.state NOT IN ('succeeded', 'failed'))::int AS other,
          sum(count(*)) OVER (PARTITION BY f.command, x.repository) AS runs
        FROM recent f CROSS JOIN LATERAL (
          SELECT repository, strategy FROM facteur.retrievals WHERE run_id = f.run_id LIMIT 1
        ) x GROUP BY 1, 2, 3
      ), placed AS (
        SELECT *, dense_rank() OVER (ORDER BY runs DESC, command, repository) AS place FROM counted
      )
      SELECT (SELECT count(*) FROM recent) <= ${LOOKED_AT}
          AND NOT EXISTS (SELECT FROM placed WHERE place > ${SHOWN_GROUPS}) AS complete,
        (SELECT coalesce(json_agg(json_build_object('command', command, 'repository', repository, 'strategy', strategy,
          'succeeded', succeeded, 'failed', failed, 'other', other) ORDER BY command, repository, strategy), '[]')
          FROM placed WHERE place <= ${SHOWN_GROUPS}) AS outcomes`,
    values: [days],
  });
  return rows[0] ?? { outcomes: [], complete: true };
}

/** How many reflections there are in each state. */
export async function countStandings(db: Queryable): Promise<Readonly<Record<string, number>>> {
  const { rows } = await db.query<{ readonly state: string; readonly count: number }>({
    name: 'count-standings',
    text: 'SELECT state, count(*)::int FROM facteur.reflection_standing GROUP BY 1',
  });
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}

/** This many of a reflection's latest uses are judged: a share of 1,000 runs is accurate to 3 points. */
export const JUDGED_USES = 1000;

/** The outcomes of the latest runs of a command in a repository that received a reflection since it was trusted. */
interface TrustedOutcomes {
  readonly reflectionId: string;
  readonly command: string;
  readonly repository: string;
  readonly helped: number;
  readonly hurt: number;
}

/** Maximum number of reflections per statement: each has up to {@link JUDGED_USES} runs to look up. */
const JUDGED_AT_ONCE = 50;

/**
 * For one page of trusted reflections, those with at least `minOutcomes` outcomes: a row for each command and repository in which
 * they were used.
 *
 * @param after where the previous page ended
 */
export async function trustedOutcomes(
  db: Queryable,
  minOutcomes: number,
  after = '00000000-0000-0000-0000-000000000000',
): Promise<{ readonly outcomes: readonly TrustedOutcomes[]; readonly next: string | undefined }> {
  const { rows } = await db.query<{ outcomes: TrustedOutcomes[]; last: string | null }>({
    name: 'trusted-outcomes',
    text: `WITH page AS (
        SELECT reflection_id, updated_at FROM facteur.reflection_standing
        WHERE state = 'trusted' AND reflection_id > $2::uuid ORDER BY reflection_id LIMIT ${JUDGED_AT_ONCE}
      ), used AS (
        SELECT s.reflection_id, f.command, x.repository, count(*) FILTER (WHERE f.state = 'succeeded')::int AS helped,
          count(*) FILTER (WHERE f.state = 'failed')::int AS hurt, sum(count(*)) OVER (PARTITION BY s.reflection_id) AS outcomes
        FROM page s CROSS JOIN LATERAL (
            SELECT run_id FROM facteur.reflection_uses WHERE reflection_id = s.reflection_id AND decided_at >= s.updated_at
            ORDER BY decided_at DESC, run_id DESC LIMIT ${JUDGED_USES}
          ) u CROSS JOIN LATERAL (SELECT repository FROM facteur.retrievals WHERE run_id = u.run_id LIMIT 1) x
          CROSS JOIN LATERAL (SELECT command, state FROM facteur.runs WHERE run_id = u.run_id LIMIT 1) f
        WHERE f.state IN ('succeeded', 'failed')
        GROUP BY 1, 2, 3
      )
      SELECT (SELECT coalesce(json_agg(json_build_object('reflectionId', reflection_id, 'command', command, 'repository', repository,
            'helped', helped, 'hurt', hurt) ORDER BY reflection_id, command, repository), '[]')
          FROM used WHERE outcomes >= $1) AS outcomes,
        (SELECT reflection_id FROM page ORDER BY reflection_id OFFSET ${JUDGED_AT_ONCE - 1} LIMIT 1) AS last`,
    values: [minOutcomes, after],
  });
  return { outcomes: rows[0]?.outcomes ?? [], next: rows[0]?.last ?? undefined };
}

/** This many runs of a command show what is usual. */
const USUAL_RUNS = 10_000;

/** The outcomes of the latest runs of a command without reflections, in 90 days, by repository. */
export async function outcomesWithout(
  db: Queryable,
  command: string,
): Promise<readonly { readonly repository: string; readonly helped: number; readonly hurt: number }[]> {
  const { rows } = await db.query<{ repository: string; helped: number; hurt: number }>({
    name: 'outcomes-without',
    text: `SELECT coalesce(x.repository, '') AS repository, count(*) FILTER (WHERE f.state = 'succeeded')::int AS helped,
        count(*) FILTER (WHERE f.state = 'failed')::int AS hurt
      FROM (
        SELECT run_id, state FROM facteur.runs
        WHERE command = $1 AND accepted_at > now() - interval '90 days' AND state IN ('succeeded', 'failed')
        ORDER BY accepted_at DESC, run_id DESC LIMIT ${USUAL_RUNS}
      ) f LEFT JOIN LATERAL (SELECT repository, strategy FROM facteur.retrievals WHERE run_id = f.run_id LIMIT 1) x ON true
      WHERE x.strategy IS DISTINCT FROM 'retrieve' GROUP BY 1`,
    values: [command],
  });
  return rows;
}
