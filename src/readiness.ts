import type { ArgoClient } from './clients/argo/workflows.ts';
import type { Sessions } from './clients/sessions/sessions.ts';
import type { Database } from './clients/postgres/database.ts';

/** What `/readyz` answers. */
export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, string>>;
}

export interface ReadinessSubjects {
  readonly stopping: boolean;
  /** Absent until the schema is in place. */
  readonly db: Database | undefined;
  /** Absent where there is no cluster to ask. */
  readonly argo: ArgoClient | undefined;
  readonly sessions: Pick<Sessions, 'status'>;
}

/** A probe must answer within a second or the kubelet counts it as failed. */
const CHECK_MS = 800;

/**
 * Ready means that requests can be made durable. The cluster and Redis show in the checks but do not decide: without them
 * runs wait in the ledger, and people's last requests are forgotten.
 */
export async function readinessChecks({ stopping, db, argo, sessions }: ReadinessSubjects): Promise<Readiness> {
  const [postgres, cluster] = await Promise.all([
    db === undefined ? 'starting' : outcome(db.query({ name: 'ready', text: 'SELECT 1' })),
    argo === undefined ? 'disabled' : outcome(argo.serverVersion({ timeoutMs: CHECK_MS })),
  ]);
  const redis = sessions.status().ok ? 'ok' : 'unavailable';
  const process = stopping ? 'stopping' : 'ok';
  return { ready: postgres === 'ok' && process === 'ok', checks: { postgres, cluster, redis, process } };
}

/** `ok`, or in a few words why not; hosts and SQL stay in the log. */
async function outcome(check: Promise<unknown>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('timeout'), CHECK_MS);
  });
  try {
    return await Promise.race([
      check.then(
        () => 'ok',
        () => 'unavailable',
      ),
      timeout,
    ]);
  } finally {
    clearTimeout(timer);
  }
}
