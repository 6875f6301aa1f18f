import { errorMessage } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import { meter } from './base/telemetry.ts';
import { within } from './base/within.ts';
import type { Queryable } from './clients/postgres/database.ts';
import { readBacklog, type Backlog } from './ledger/backlog.ts';
import type { Readiness } from './readiness.ts';

export interface StateSubjects {
  /** Absent until the schema is in place. */
  readonly db: () => Queryable | undefined;
  readonly readiness: () => Promise<Readiness>;
  readonly logger: Logger;
}

/** Metrics are collected without what takes longer, in milliseconds. */
const PATIENCE_MS = 2_000;

/** Of the readiness checks, what is somebody else's. */
const DEPENDENCIES: readonly string[] = ['postgres', 'cluster', 'redis'];

/**
 * Gauges of what waits in the ledger and of what facteur depends on, asked for at each collection. All processes on one
 * ledger tell the same of it: take the maximum, not the sum.
 *
 * @returns what ends it
 */
export function observeState({ db, readiness, logger }: StateSubjects): () => void {
  const instruments = createInstruments();
  const { up, ...ofLedger } = instruments;
  const gauges = Object.values(instruments);
  const observe: Parameters<ReturnType<typeof meter>['addBatchObservableCallback']>[0] = async (result) => {
    const [checks, backlog] = await Promise.all([readiness(), backlogInTime(db(), logger)]);
    for (const dependency of DEPENDENCIES) {
      const state = checks.checks[dependency];
      if (state !== undefined && state !== 'disabled') {
        result.observe(up, state === 'ok' ? 1 : 0, { dependency });
      }
    }
    if (backlog !== undefined) {
      result.observe(ofLedger.queued, backlog.queued);
      result.observe(ofLedger.queuedAge, backlog.queuedSeconds);
      result.observe(ofLedger.live, backlog.submitted, { state: 'submitted' });
      result.observe(ofLedger.live, backlog.running, { state: 'running' });
      result.observe(ofLedger.messages, backlog.messagesDue);
      result.observe(ofLedger.messagesAge, backlog.messagesDueSeconds);
      result.observe(ofLedger.deadLetters, backlog.deadLetters);
    }
  };
  const registry = meter();
  registry.addBatchObservableCallback(observe, gauges);
  return () => registry.removeBatchObservableCallback(observe, gauges);
}

function createInstruments() {
  const gauge = (name: string, description: string, unit = '') =>
    meter().createObservableGauge(name, { description, unit });
  return {
    up: gauge('facteur_dependency_up', 'Whether what facteur depends on answers.'),
    queued: gauge('facteur_queue_runs', 'Runs that are not in the cluster yet.'),
    queuedAge: gauge('facteur_queue_oldest_seconds', 'How long the oldest of these runs has waited.', 's'),
    live: gauge('facteur_live_runs', 'Runs in the cluster that have not ended.'),
    messages: gauge('facteur_messages_due', 'Messages that should show something newer by now.'),
    messagesAge: gauge('facteur_messages_oldest_due_seconds', 'How late the latest of these messages is.', 's'),
    deadLetters: gauge('facteur_dead_letters', 'What is kept in the table of dead letters.'),
  };
}

/** Nothing while Postgres does not answer: the other metrics matter all the more then. */
async function backlogInTime(db: Queryable | undefined, logger: Logger): Promise<Backlog | undefined> {
  try {
    const outcome = db === undefined ? undefined : await within(PATIENCE_MS, readBacklog(db));
    return outcome?.inTime === true ? outcome.value : undefined;
  } catch (error) {
    logger.debug({ error: errorMessage(error) }, 'the backlog could not be measured');
    return undefined;
  }
}
