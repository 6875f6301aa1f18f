import type { OperatorDecision } from '../dispatch/decide.ts';
import type { Approval } from '../domain/approval.ts';
import type { ApprovalFilter } from '../ledger/approvals.ts';
import type { RunFilter, RunView } from '../ledger/find-runs.ts';
import type { RunDetails } from '../ledger/run-details.ts';
import type { FoundReflection, KnownReflection, ReflectionQuery } from '../ledger/search-reflections.ts';
import type { DeadLetter, DeadLetterSummary, RefusalQuery, RefusalRow } from '../ledger/unprocessed.ts';
import type { LearningStats } from '../knowledge/learning-stats.ts';
import type { Retirement, StandingChange } from '../ledger/reflection-standing.ts';
import type { RunState } from '../domain/run-state.ts';

/** A log, or why there is none. */
export interface StepLogText {
  readonly step: string;
  readonly lines: string;
  readonly problem: 'disabled' | 'gone' | 'no_step' | 'denied' | 'silent' | null;
}

/** A command to run. */
interface Submission {
  readonly command: string;
  readonly options: Readonly<Record<string, string>>;
  /** The user to run it for, with the roles to check; empty for no particular user. */
  readonly user: { readonly id: string; readonly roles: readonly string[] };
}

type RunReceipt = NewRunReceipt & { readonly state: RunState; readonly reason: string };

/** The result of a retry or a replay. */
interface NewRunReceipt {
  readonly runId: string;
  readonly workflowName: string;
  /** Whether it was already retried or replayed. */
  readonly duplicate: boolean;
}

/** A search for reflections. */
type ReflectionSearch = Pick<ReflectionQuery, 'repository' | 'types' | 'states' | 'limit'> & {
  readonly text: string;
};

/** Access to runs, dead letters and refusals, in the ledger itself or through a facteur that serves it. */
export interface RunStore {
  /** Newest first. */
  listRuns(filter: RunFilter): Promise<readonly RunView[]>;
  /** The runs that an id or its beginning, a delivery id or a workflow's name may mean. */
  findRuns(reference: string): Promise<readonly RunView[]>;
  /** Everything about a run. @throws FacteurError if it is unknown */
  describeRun(runId: string): Promise<RunDetails>;
  /** Resolves to the previous state of the run. @param by the requester; a server records the token's name */
  cancel(runId: string, by: string | undefined): Promise<RunState>;
  /** The end of a step's log; without a name, of the most relevant step. */
  readLog(runId: string, step: string): Promise<StepLogText>;
  /** Runs a command under the same rules as the doors. @throws Refusal, or FacteurError `api.…` */
  submit(asked: Submission): Promise<RunReceipt>;
  /** @throws FacteurError `run.not_retryable` */
  retry(runId: string): Promise<NewRunReceipt>;
  /** Oldest first. */
  listApprovals(filter: ApprovalFilter): Promise<readonly Approval[]>;
  /**
   * Decides as an operator.
   *
   * @param by the name that is recorded; a server records the token's name
   * @throws FacteurError if it no longer waits
   */
  decideApproval(decision: OperatorDecision, by: string | undefined): Promise<Approval>;
  /** Oldest first. */
  listDeadLetters(limit: number, after: string): Promise<readonly DeadLetterSummary[]>;
  /** @throws FacteurError if it is unknown */
  getDeadLetter(id: string): Promise<DeadLetter>;
  /** @throws FacteurError if it is refused again, or was already replayed or dropped */
  replayDeadLetter(id: string): Promise<NewRunReceipt>;
  /** @throws FacteurError if it was already replayed or dropped */
  dropDeadLetter(id: string): Promise<void>;
  /** Newest first. */
  listRefusals(filter: RefusalQuery): Promise<readonly RefusalRow[]>;
  /** All of them, or none. @throws FacteurError if one is unknown, or descends from one that is not trusted */
  trustReflections(ids: readonly string[], reason: string): Promise<readonly StandingChange[]>;
  /** All of them, or none; their descendants follow. @throws FacteurError if one is unknown */
  retireReflections(ids: readonly string[], reason: string, withDescendants: boolean): Promise<Retirement>;
  learningStats(days: number): Promise<LearningStats>;
  /** Best match first. */
  searchReflections(query: ReflectionSearch, signal: AbortSignal): Promise<readonly FoundReflection[]>;
  /** @throws FacteurError if it is unknown */
  getReflection(id: string): Promise<KnownReflection>;
}
