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

/** The outcomes of the last `days` days, by command, repository and strategy. */
export async function retrievalOutcomes(db: Queryable, days: number): Promise<RetrievalOutcomes[]> {
  const { rows } = await db.query<RetrievalOutcomes>({
    name: 'retrieval-outcomes',
    text: `SELECT f.command, x.repository, x.strategy, count(*) FILTER (WHERE f.state = 'succeeded')::int AS succeeded,
        count(*) FILTER (WHERE f.state = 'failed')::int AS failed,
        count(*) FILTER (WHERE f.state NOT IN ('succeeded', 'failed'))::int AS other
      FROM facteur.retrievals x JOIN facteur.runs f USING (run_id)
      WHERE x.decided_at > now() - make_interval(days => $1)
      GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
    values: [days],
  });
  return rows;
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
