import { randomUUID } from 'node:crypto';
import { FacteurError } from '../base/errors.ts';
import { systemTimer } from '../base/timer.ts';
import { decideAsOperator } from '../dispatch/decide.ts';
import { LOG_LIMITS, readStepLog } from '../dispatch/step-log.ts';
import { listApprovals } from '../ledger/approvals.ts';
import { findRuns, listRuns, readRun } from '../ledger/find-runs.ts';
import { readRunDetails } from '../ledger/run-details.ts';
import { ReflectionEvents } from '../knowledge/reflection-events.ts';
import { createKnowledge } from '../knowledge/reflections.ts';
import { readReflection } from '../ledger/search-reflections.ts';
import { listDeadLetters, listRefusals } from '../ledger/unprocessed.ts';
import { askedCommand } from '../entry/asked-command.ts';
import { ANONYMOUS } from '../domain/command.ts';
import { dropDeadLetter, replayAndSettle, requireDeadLetter, settled } from '../entry/replay-dead-letter.ts';
import { retire, trust } from '../knowledge/decide-standing.ts';
import { learningStats } from '../knowledge/learning-stats.ts';
import { collect } from './collect.ts';
import type { LedgerAccess } from './ledger-access.ts';
import type { RunStore } from './run-store.ts';

/** The recorded requester if no name is given. */
const AN_OPERATOR = 'an operator';

/** The store on the ledger itself. */
export function ledgerStore({ db, wakes, pages, rules, embedder, withCluster, ...doors }: LedgerAccess): RunStore {
  const { dispatch } = doors;
  return {
    listRuns: (filter) => listRuns(db, filter),
    findRuns: (reference) => findRuns(db, reference),
    describeRun: async (runId) => {
      const run = await readRunDetails(db, runId, { onlyRun: null, pages });
      if (run === undefined) {
        throw new FacteurError('run.unknown', `unknown run ${runId}`, { retryable: false });
      }
      return run;
    },
    cancel: (runId, by = AN_OPERATOR) => dispatch.cancel(runId, by),
    readLog: async (runId, step) => {
      const run = await readRun(db, runId, null);
      if (run === undefined) {
        throw new FacteurError('run.unknown', `unknown run ${runId}`, { retryable: false });
      }
      const log = await withCluster((workflows) =>
        readStepLog(run, { workflows, timer: systemTimer }, { step, limits: LOG_LIMITS }),
      );
      return { step: log.step ?? step, lines: log.lines, problem: log.problem ?? null };
    },
    submit: async ({ command: name, options, user }) => {
      const principal = { ...ANONYMOUS, userId: user.id, roles: user.roles };
      const about = {
        door: 'cli',
        deliveryId: randomUUID(),
        actor: AN_OPERATOR,
        correlationId: '',
        traceparent: '',
      } as const;
      const command = askedCommand({ ...about, name, options, principal, now: new Date() }, rules);
      return dispatch.command(command, { awaitSubmissionMs: 0 });
    },
    retry: (runId) => dispatch.retry(runId, { awaitSubmissionMs: 0, door: 'cli', actor: AN_OPERATOR }),
    listApprovals: (filter) =>
      collect(filter.limit, filter.after, async (limit, after) => {
        const { rows, hasMore } = await listApprovals(db, { ...filter, limit, after });
        return { items: rows, next: hasMore ? rows.at(-1) : undefined };
      }),
    decideApproval: (decision, by = AN_OPERATOR) => decideAsOperator(decision, `${by} (command line)`, { db, wakes }),
    listDeadLetters: (limit, after) => listDeadLetters(db, limit, after),
    getDeadLetter: (id) => requireDeadLetter(db, id),
    replayDeadLetter: (id) => replayAndSettle(db, id, doors),
    dropDeadLetter: async (id) => {
      if (!(await dropDeadLetter(db, id))) {
        throw settled({ id, outcome: 'dropped' });
      }
    },
    listRefusals: (filter) => listRefusals(db, filter),
    trustReflections: (reflectionIds, reason) => trust(db, { reflectionIds, reason, decidedBy: AN_OPERATOR }),
    retireReflections: (reflectionIds, reason, withDescendants) =>
      retire(db, { reflectionIds, reason, withDescendants, decidedBy: AN_OPERATOR }),
    learningStats: (days) => learningStats(db, days),
    searchReflections: async (query, signal) => {
      const knowledge = createKnowledge({ db, embedder, events: new ReflectionEvents() });
      return (await knowledge.search({ ...query, embedded: undefined }, signal)).found;
    },
    getReflection: async (id) => {
      const known = await readReflection(db, id);
      if (known === undefined) {
        throw new FacteurError('reflection.unknown', `unknown reflection ${id}`, { retryable: false });
      }
      return known;
    },
  };
}
