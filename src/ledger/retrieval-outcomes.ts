import type { Queryable } from '../clients/postgres/database.ts';
import type { RetrievalStrategy } from '../domain/retrieval.ts';

/** How runs ended for which something was decided about reflections. */
export interface RetrievalOutcomes {
  readonly command: string;
  readonly repository: string;
  readonly strategy: RetrievalStrategy;
  readonly succeeded: number;
  readonly failed: number;
  /** Still live, or ended in a way that says nothing about advice. */
  readonly other: number;
}

/** Most runs that are looked at, the newest, and most groups that are shown: those with the most runs. */
const [LOOKED_AT, SHOWN_GROUPS] = [100_000, 500];

/**
 * The outcomes of the runs of the last `days` days, by command, repository and strategy; not `complete` if there are more
 * runs, or groups, than are looked at.
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

/** So many of its latest uses judge a reflection: a share of 1,000 runs is certain to 3 points. */
export const JUDGED_USES = 1000;

/** How the latest runs ended that received a trusted reflection since it has been trusted, and what comparable runs did. */
interface TrustedOutcomes {
  readonly reflectionId: string;
  readonly command: string;
  readonly helped: number;
  readonly hurt: number;
  /** Runs of the command without reflections in 90 days: anywhere, and in the repository of the run. */
  readonly everywhere: { readonly helped: number; readonly hurt: number };
  readonly here: { readonly helped: number; readonly hurt: number };
}

/** For reflections with at least so many outcomes: one row for each command and repository in which they were used. */
export async function trustedOutcomes(db: Queryable, minOutcomes: number): Promise<TrustedOutcomes[]> {
  const { rows } = await db.query<TrustedOutcomes>({
    name: 'trusted-outcomes',
    text: `WITH used AS (
        SELECT s.reflection_id, f.command, x.repository, count(*) FILTER (WHERE f.state = 'succeeded')::int AS helped,
          count(*) FILTER (WHERE f.state = 'failed')::int AS hurt, sum(count(*)) OVER (PARTITION BY s.reflection_id) AS outcomes
        FROM facteur.reflection_standing s CROSS JOIN LATERAL (
            SELECT run_id FROM facteur.reflection_uses WHERE reflection_id = s.reflection_id AND decided_at >= s.updated_at
            ORDER BY decided_at DESC, run_id DESC LIMIT ${JUDGED_USES}
          ) u JOIN facteur.retrievals x USING (run_id) JOIN facteur.runs f USING (run_id)
        WHERE s.state = 'trusted' AND f.state IN ('succeeded', 'failed')
        GROUP BY 1, 2, 3
      ), without AS (
        SELECT f.command, coalesce(x.repository, '') AS repository, count(*) FILTER (WHERE f.state = 'succeeded')::int AS helped,
          count(*) FILTER (WHERE f.state = 'failed')::int AS hurt
        FROM facteur.runs f LEFT JOIN facteur.retrievals x USING (run_id)
        WHERE f.command IN (SELECT command FROM used WHERE outcomes >= $1) AND f.accepted_at > now() - interval '90 days'
          AND f.state IN ('succeeded', 'failed') AND x.strategy IS DISTINCT FROM 'retrieve'
        GROUP BY 1, 2
      )
      SELECT used.reflection_id AS "reflectionId", used.command, used.helped, used.hurt,
        json_build_object('helped', coalesce(sum(w.helped), 0), 'hurt', coalesce(sum(w.hurt), 0)) AS everywhere,
        json_build_object('helped', coalesce(sum(w.helped) FILTER (WHERE w.repository = used.repository), 0),
          'hurt', coalesce(sum(w.hurt) FILTER (WHERE w.repository = used.repository), 0)) AS here
      FROM used LEFT JOIN without w ON w.command = used.command WHERE used.outcomes >= $1
      GROUP BY 1, 2, 3, 4, used.repository ORDER BY 1, 2`,
    values: [minOutcomes],
  });
  return rows;
}
