import type { Queryable } from '../clients/postgres/database.ts';
import { DUE_WORK, type DueWork } from './due-work.ts';

/** Notified with the lease's name whenever a lease is released. */
export const LEASE_CHANNEL = 'facteur_lease';

export interface LeaseRequest {
  readonly name: string;
  /** The requester: a unique name for the life of a process. */
  readonly holder: string;
  readonly lifeMs: number;
}

export interface LeaseAnswer {
  readonly held: boolean;
  /** Milliseconds until the lease is free if its holder does not renew it again. */
  readonly expiresInMs: number;
  /** The due work in the queues: a process that renews the lease in time need not query it separately. */
  readonly dueWork: DueWork;
}

/**
 * Acquires the lease if it is free or expired, renews it if the requester holds it, and otherwise returns how long another
 * process holds it. Only the database's clock counts. If that clock was set back, for example by a failover to a server whose
 * clock is behind, the lease may end later than any lease can: then it counts as expired.
 */
export async function claimLease(db: Queryable, request: LeaseRequest): Promise<LeaseAnswer> {
  const { rows } = await db.query<DueWork & { readonly held: boolean | null; readonly expiresInMs: number | null }>({
    name: 'claim-lease',
    text: `
      WITH taken AS (
        INSERT INTO facteur.leases AS lease (name, holder, expires_at)
        VALUES ($1, $2, now() + make_interval(secs => $3::float8 / 1000))
        ON CONFLICT (name) DO UPDATE SET holder = EXCLUDED.holder, expires_at = EXCLUDED.expires_at
        WHERE lease.holder = EXCLUDED.holder OR lease.expires_at <= now()
          OR lease.expires_at > now() + 2 * make_interval(secs => $3::float8 / 1000)
        RETURNING expires_at
      ), lease AS (
        SELECT true AS held, $3::float8 AS "expiresInMs" FROM taken
        UNION ALL
        SELECT false, (extract(epoch FROM expires_at - now()) * 1000)::float8 FROM facteur.leases
        WHERE name = $1 AND NOT EXISTS (SELECT FROM taken)
      )
      SELECT lease.*, due.* FROM (${DUE_WORK}) AS due LEFT JOIN lease ON true`,
    values: [request.name, request.holder, request.lifeMs],
  });
  const { held, expiresInMs, ...dueWork } = rows[0] ?? {
    held: null,
    expiresInMs: null,
    runsInMs: null,
    messagesInMs: null,
    approvalsInMs: null,
  };
  return {
    // Null if another process took it for the first time while this statement ran.
    held: held ?? false,
    expiresInMs: Math.max(0, expiresInMs ?? request.lifeMs),
    dueWork,
  };
}

/** Releases the lease and wakes waiting processes. A lease of another process does not change. */
export async function releaseLease(db: Queryable, name: string, holder: string): Promise<void> {
  await db.query({
    name: 'release-lease',
    text: `
      WITH given AS (DELETE FROM facteur.leases WHERE name = $1 AND holder = $2 RETURNING name)
      SELECT pg_notify('${LEASE_CHANNEL}', name) FROM given`,
    values: [name, holder],
  });
}
