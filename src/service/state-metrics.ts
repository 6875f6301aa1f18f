import { errorMessage } from '../base/errors.ts';
import type { Gate } from '../base/gate.ts';
import type { Logger } from '../base/logger.ts';
import { gauge } from '../base/metrics.ts';
import { meter } from '../base/telemetry.ts';
import type { Timer } from '../base/timer.ts';
import { within } from '../base/within.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import { isUndecidable } from '../domain/approval-rules.ts';
import type { CommandRules, RuleSource } from '../domain/command-rules.ts';
import { readBacklog, type Backlog } from '../ledger/due-work.ts';
import type { Readiness } from '../entry/http/deps.ts';

interface StateSubjects extends RuleSource {
  /** Opens when the schema is migrated. */
  readonly gate: Pick<Gate, 'isOpen'>;
  readonly db: Queryable;
  readonly readiness: () => Promise<Readiness>;
  readonly logger: Logger;
  readonly timer: Timer;
}

/** Time limit for the queries of a collection, in milliseconds; it continues without slower ones. */
const PATIENCE_MS = 2_000;

/** States of a check that tell nothing about the dependency: no cluster is used, or other consumers have all partitions. */
const UNKNOWN: readonly (string | undefined)[] = [undefined, 'disabled', 'idle'];

/** The readiness checks of external systems. */
const DEPENDENCIES: readonly string[] = ['postgres', 'cluster', 'redis', 'kafka'];

/**
 * Gauges of the ledger's queues and of dependencies, read at each collection. All processes on one ledger report the same values:
 * use the maximum, not the sum.
 *
 * @returns a function that stops it
 */
export function measureState(subjects: StateSubjects): () => void {
  const { readiness, rules } = subjects;
  const instruments = {
    up: gauge('facteur_dependency_up'),
    queued: gauge('facteur_queue_runs'),
    queuedAge: gauge('facteur_queue_oldest_seconds'),
    live: gauge('facteur_live_runs'),
    messages: gauge('facteur_messages_due'),
    messagesAge: gauge('facteur_messages_oldest_due_seconds'),
    deadLetters: gauge('facteur_dead_letters'),
    approvals: gauge('facteur_approvals_waiting'),
    approvalsAge: gauge('facteur_approvals_oldest_seconds'),
    undecidable: gauge('facteur_approvals_undecidable'),
  };
  const { up, ...ofLedger } = instruments;
  const gauges = Object.values(instruments);
  const measure: Parameters<ReturnType<typeof meter>['addBatchObservableCallback']>[0] = async (result) => {
    const [checks, backlog] = await Promise.all([readiness(), backlogInTime(subjects)]);
    for (const dependency of DEPENDENCIES) {
      const state = checks.checks[dependency];
      if (!UNKNOWN.includes(state)) {
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
      result.observe(ofLedger.approvals, backlog.approvals);
      result.observe(ofLedger.approvalsAge, backlog.approvalsSeconds);
      result.observe(ofLedger.undecidable, countUndecidable(backlog, rules()));
    }
  };
  const registry = meter();
  registry.addBatchObservableCallback(measure, gauges);
  return () => registry.removeBatchObservableCallback(measure, gauges);
}

function countUndecidable({ approvalRules }: Backlog, rules: CommandRules): number {
  return approvalRules
    .filter((asked) => isUndecidable(asked, asked.command, rules))
    .reduce((sum, { count }) => sum + count, 0);
}

/** Undefined while Postgres does not answer: then the other metrics matter even more. */
async function backlogInTime({ gate, db, logger, timer }: StateSubjects): Promise<Backlog | undefined> {
  try {
    const outcome = gate.isOpen ? await within(timer, PATIENCE_MS, () => readBacklog(db)) : undefined;
    return outcome?.inTime === true ? outcome.value : undefined;
  } catch (error) {
    logger.debug({ error: errorMessage(error) }, 'could not measure the backlog');
    return undefined;
  }
}
