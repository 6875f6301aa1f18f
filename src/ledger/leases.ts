import type { Queryable } from '../clients/postgres/database.ts';
import { DUE_WORK, toDueWork, type DueWork, type DueWorkRow } from './due-work.ts';

/** Notified, with the lease's name, whenever a lease is given back. */
export const LEASE_CHANNEL = 'facteur_lease';

export interface LeaseRequest {
  readonly name: string;
  /** Who asks: one name for the life of a process, never used again by another. */
  readonly holder: string;
  readonly lifeMs: number;
}

export interface LeaseAnswer {
  readonly held: boolean;
  /** Until it is free, in milliseconds, should its holder fall silent from now on. */
  readonly expiresInMs: number;
  /** What waits in the queues: whoever renews the lease in time need not ask for this on its own. */
  readonly due: DueWork;
}

interface LeaseRow extends DueWorkRow {
  readonly held: boolean | null;
  readonly expires_in_ms: number | null;
}

/**
 * Takes the lease when it is free or has run out, renews it when it is the asker's own, and else says for how long it is
 * somebody else's. Only the database's clock counts.
 */
export async function claimLease(db: Queryable, request: LeaseRequest): Promise<LeaseAnswer> {
  const { rows } = await db.query<LeaseRow>({
    name: 'claim-lease',
    text: `
      WITH taken AS (
        INSERT INTO facteur.leases AS lease (name, holder, expires_at)
        VALUES ($1, $2, now() + make_interval(secs => $3::float8 / 1000))
        ON CONFLICT (name) DO UPDATE SET holder = EXCLUDED.holder, expires_at = EXCLUDED.expires_at
        WHERE lease.holder = EXCLUDED.holder OR lease.expires_at <= now()
        RETURNING expires_at
      ), lease AS (
        SELECT true AS held, $3::float8 AS expires_in_ms FROM taken
        UNION ALL
        SELECT false, (extract(epoch FROM expires_at - now()) * 1000)::float8 FROM facteur.leases
        WHERE name = $1 AND NOT EXISTS (SELECT FROM taken)
      )
      SELECT lease.*, due.* FROM (${DUE_WORK}) AS due LEFT JOIN lease ON true`,
    values: [request.name, request.holder, request.lifeMs],
  });
  const [row] = rows;
  return {
    // Null when somebody took it for the first time while this statement ran.
    held: row?.held ?? false,
    expiresInMs: Math.max(0, row?.expires_in_ms ?? request.lifeMs),
    due: toDueWork(row),
  };
}

/** Gives the lease back and wakes up whoever waits for it. Somebody else's lease stays as it is. */
export async function releaseLease(db: Queryable, name: string, holder: string): Promise<void> {
  await db.query({
    name: 'release-lease',
    text: `
      WITH given AS (DELETE FROM facteur.leases WHERE name = $1 AND holder = $2 RETURNING name)
      SELECT pg_notify('${LEASE_CHANNEL}', name) FROM given`,
    values: [name, holder],
  });
}
