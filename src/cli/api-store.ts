import { isRecord } from '../base/json.ts';
import { refused, type CallApi } from '../clients/facteur/client.ts';
import type {
  Approval as ApiApproval,
  DeadLetter as ApiLetter,
  Refusal,
  Run,
  RunDetails as ApiDetails,
  RunEvent as ApiEvent,
} from '../clients/facteur/operations.ts';
import type { Approval } from '../domain/approval.ts';
import type { RunEvent, RunView } from '../ledger/find-runs.ts';
import type { RunDetails } from '../ledger/run-details.ts';
import type { DeadLetterSummary, RefusalRow } from '../ledger/unprocessed.ts';
import { collect } from './collect.ts';
import { UsageError } from './program.ts';
import type { RunStore } from './run-store.ts';

/** Maximum number of items in one answer of `/v1`. */
const PAGE = 500;

/** The store behind another facteur's `/v1`. */
export function apiStore(call: CallApi): RunStore {
  return {
    listRuns: ({ states, command, userId: user, since, door, text, limit, before }) =>
      collect(limit, before, async (wanted, cursor) => {
        const filter = { state: states?.join(','), command, user, since: since?.toISOString(), door, text };
        const query = { ...filter, limit: String(size(wanted)), cursor };
        const { runs, next } = await call('listRuns', { query });
        return { items: listOf(runs).map(toRun), next: next ?? undefined };
      }),
    findRuns: async (reference) => listOf((await call('listRuns', { query: { reference } })).runs).map(toRun),
    describeRun: async (runId) => toDetails(await call('getRun', { path: { runId } })),
    cancel: async (runId) => (await call('cancelRun', { path: { runId } })).state,
    readLog: (runId, step) => call('getRunLog', { path: { runId }, query: { step } }),
    submit: async ({ command, options, user: { id, roles } }) => {
      if (id === '' && roles.length > 0) {
        throw new UsageError('--roles requires --user');
      }
      const user = id === '' ? {} : { user: { id, roles } };
      return call('submitRun', { body: { command, options, ...user } });
    },
    retry: (runId) => call('retryRun', { path: { runId } }),
    listApprovals: ({ runId: run, states, command, limit, after }) =>
      collect(limit, after && `${after.runId}:${after.key}`, async (wanted, cursor) => {
        const query = { run, state: states?.join(','), command, limit: String(size(wanted)), cursor };
        const { approvals, next } = await call('listApprovals', { query });
        return { items: listOf(approvals).map(toApproval), next: next ?? undefined };
      }),
    decideApproval: async ({ runId, key, verdict, outputs, reason }) => {
      const path = { runId, key };
      return toApproval(
        await (verdict === 'approved'
          ? call('approve', { path, body: { outputs, reason } })
          : call('reject', { path, body: { reason } })),
      );
    },
    listDeadLetters: (limit, from) =>
      collect(limit, from, async (wanted, after) => {
        const { deadLetters } = await call('listDeadLetters', { query: { limit: String(size(wanted)), after } });
        return { items: listOf(deadLetters).map(toLetter), next: lastOf(deadLetters, wanted) };
      }),
    getDeadLetter: async (letterId) => {
      const letter = await call('getDeadLetter', { path: { letterId } });
      return { ...letter, ...toLetter(letter), headers: letter.headers, body: Buffer.from(letter.body, 'base64') };
    },
    replayDeadLetter: (letterId) => call('replayDeadLetter', { path: { letterId } }),
    dropDeadLetter: async (letterId) => void (await call('dropDeadLetter', { path: { letterId } })),
    listRefusals: ({ command, userId: user, limit, before: from }) =>
      collect(limit, from, async (wanted, before) => {
        const { refusals } = await call('listRefusals', {
          query: { command, user, limit: String(size(wanted)), before },
        });
        return { items: listOf(refusals).map(toRefusal), next: lastOf(refusals, wanted) };
      }),
    trustReflections: async (reflectionIds, reason) =>
      (await call('trustReflections', { body: { reflectionIds: [...reflectionIds], reason } })).reflections,
    retireReflections: async (reflectionIds, reason, withDescendants) => {
      const body = { reflectionIds: [...reflectionIds], reason, withDescendants };
      const { reflections: changes, descendants } = await call('retireReflections', { body });
      return { changes, descendants };
    },
    learningStats: (days) => call('getLearningStats', { query: { days: String(days) } }),
    searchReflections: async (query) => {
      const { reflections } = await call('searchReflections', { body: query });
      return listOf(reflections).map(({ reflectionId: id, ...rest }) => ({
        id,
        ...rest,
        createdAt: new Date(rest.createdAt),
      }));
    },
    getReflection: async (reflectionId) => {
      const { reflectionId: id, ...rest } = await call('getReflection', { path: { reflectionId } });
      return { id, ...rest, createdAt: new Date(rest.createdAt), updatedAt: new Date(rest.updatedAt) };
    },
  };
}

/** Checks the type, because another server may answer with other JSON. */
function listOf<T>(items: readonly T[]): readonly T[] {
  const isList: boolean = Array.isArray(items) && items.every(isRecord);
  if (!isList) {
    throw refused('the answer has an unexpected form');
  }
  return items;
}

/** The page size to request. */
function size(wanted: number): number {
  return Math.min(PAGE, wanted);
}

/** Lists without a cursor continue after the last id; only a full answer can have a next page. */
function lastOf(items: readonly { readonly id: string }[], wanted: number): string | undefined {
  return items.length < size(wanted) ? undefined : items.at(-1)?.id;
}

const toDate = (text: string | null): Date | null => (text === null ? null : new Date(text));

function toRun(run: Run): RunView {
  return {
    ...run,
    acceptedAt: new Date(run.acceptedAt),
    submittedAt: toDate(run.submittedAt),
    startedAt: toDate(run.startedAt),
    finishedAt: toDate(run.finishedAt),
  };
}

function toApproval(approval: ApiApproval): Approval {
  const { requestedAt, expiresAt, decidedAt } = approval;
  return {
    ...approval,
    kind: 'node',
    requestedAt: new Date(requestedAt),
    expiresAt: toDate(expiresAt),
    decidedAt: toDate(decidedAt),
  };
}

function toDetails({ links, ...run }: ApiDetails): RunDetails {
  const { workflow, message, trace } = links;
  const [approvals, events] = [run.approvals.map(toApproval), run.events.map(toEvent)];
  return { ...run, ...toRun(run), approvals, events, links: { workflow, message, trace } };
}

function toEvent(event: ApiEvent): RunEvent {
  return { ...event, at: new Date(event.at) };
}

function toLetter(letter: ApiLetter): DeadLetterSummary {
  return { ...letter, createdAt: new Date(letter.createdAt) };
}

function toRefusal(refusal: Refusal): RefusalRow {
  return { ...refusal, createdAt: new Date(refusal.createdAt) };
}
