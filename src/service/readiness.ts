import type { Gate } from '../base/gate.ts';
import type { KafkaClient } from '../clients/kafka/client.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import type { Sessions } from '../clients/sessions/sessions.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { Readiness } from '../entry/http/deps.ts';

export interface ReadinessSubjects {
  readonly stopping: () => boolean;
  /** Opens when the schema is migrated. */
  readonly gate: Pick<Gate, 'isOpen'>;
  readonly db: Pick<Database, 'ping'>;
  /** Absent without a cluster. */
  readonly argo: Pick<ArgoClient, 'serverVersion'> | undefined;
  readonly sessions: Pick<Sessions, 'status'>;
  /** Absent if this process does not read Kafka. */
  readonly kafka?: Pick<KafkaClient, 'isUp'> | undefined;
  /** Monotonic time in milliseconds. */
  readonly now?: () => number;
}

/** A probe must answer within a second or the kubelet counts it as failed. */
const CHECK_MS = 800;
/** How long a check of the cluster is reused, in milliseconds: it does not affect readiness, so not every probe needs one. */
const CLUSTER_MS = 10_000;

/**
 * Ready means that requests can be made durable. The cluster, Redis and Kafka appear in the checks but do not count: without
 * them, runs wait in the ledger, users' last requests are forgotten, and commands wait in the topic.
 */
export function createReadiness(subjects: ReadinessSubjects): () => Promise<Readiness> {
  const { stopping, gate, db, argo, sessions, kafka, now = () => performance.now() } = subjects;
  let asked: { readonly at: number; readonly answer: Promise<string> } | undefined;
  const clusterCheck = (client: Pick<ArgoClient, 'serverVersion'>): Promise<string> => {
    if (asked === undefined || now() - asked.at >= CLUSTER_MS) {
      asked = { at: now(), answer: outcome(client.serverVersion({ timeoutMs: CHECK_MS })) };
    }
    return asked.answer;
  };
  return async () => {
    const [postgres, cluster] = await Promise.all([
      gate.isOpen ? outcome(db.ping()) : 'starting',
      argo === undefined ? 'disabled' : clusterCheck(argo),
    ]);
    const redis = sessions.status().ok ? 'ok' : 'unavailable';
    const process = stopping() ? 'stopping' : 'ok';
    const checks = { postgres, cluster, redis, ...(kafka && { kafka: kafkaState(kafka) }), process };
    return { ready: postgres === 'ok' && process === 'ok', checks };
  };
}

function kafkaState(kafka: Pick<KafkaClient, 'isUp'>): string {
  switch (kafka.isUp()) {
    case true:
      return 'ok';
    case false:
      return 'unavailable';
    case undefined:
      return 'idle';
  }
}

/** `ok`, or the problem in a word; hosts and SQL stay in the log. */
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
