import type { Queryable } from '../clients/postgres/database.ts';

/** How many of a command's newest runs are read, and how many of them must have succeeded. */
const NEWEST = 50;
const ENOUGH = 5;

/** How long a command usually takes, in milliseconds: the median of its newest successes; undefined if there are too few. */
export async function typicalDuration(db: Queryable, command: string): Promise<number | undefined> {
  const { rows } = await db.query<{ readonly ms: number | null; readonly count: number }>({
    name: 'typical-duration',
    text: `SELECT count(*)::int AS count,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at) * 1000) AS ms
      FROM (SELECT state, started_at, finished_at FROM facteur.runs WHERE command = $1
        ORDER BY accepted_at DESC, run_id DESC LIMIT ${NEWEST}) AS newest
      WHERE state = 'succeeded' AND started_at IS NOT NULL AND finished_at IS NOT NULL`,
    values: [command],
  });
  const [row] = rows;
  return row === undefined || row.count < ENOUGH || row.ms === null ? undefined : row.ms;
}
