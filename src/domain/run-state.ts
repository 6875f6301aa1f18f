/**
 * The state machine of a run. This table is the only definition of the moves; the CHECK constraint
 * `runs_state_moves` on `facteur.runs` mirrors it, and a test proves that both allow the same moves.
 *
 * queued     recorded in the ledger with a reserved workflow name, not yet in the cluster
 * submitted  created in the cluster
 * running    the cluster has started it
 * succeeded, failed, error   ended as Argo says
 * canceled   ended on request
 * refused    the cluster will never accept it, or all attempts were used up
 * skipped    recorded while the dispatcher is disabled
 * lost       the workflow disappeared before facteur saw how it ended
 *
 * `failed`, `error` and `canceled` become live again when Argo retries the same workflow, and `succeeded` when Argo is told to
 * repeat steps that succeeded.
 */
export const RUN_MOVES = {
  queued: ['submitted', 'refused', 'skipped', 'canceled'],
  submitted: ['running', 'succeeded', 'failed', 'error', 'canceled', 'lost'],
  running: ['succeeded', 'failed', 'error', 'canceled', 'lost'],
  succeeded: ['running'],
  failed: ['running'],
  error: ['running'],
  canceled: ['running'],
  refused: [],
  skipped: [],
  lost: [],
} as const satisfies Record<string, readonly string[]>;

export type RunState = keyof typeof RUN_MOVES;

export const RUN_STATES = Object.keys(RUN_MOVES) as readonly RunState[];

/** States from which `to` may be reached; the `WHERE state = ANY(…)` of every transition. */
export function statesBefore(to: RunState): readonly RunState[] {
  return RUN_STATES.filter((from) => (RUN_MOVES[from] as readonly RunState[]).includes(to));
}

/** Whether a run in this state has ended, as far as anybody can know. */
export function isFinished(state: RunState): boolean {
  return state !== 'queued' && state !== 'submitted' && state !== 'running';
}

/** Whether the cluster never got a workflow for a run that ended in this state: the reserved name leads nowhere. */
export function endedWithoutWorkflow(state: RunState): boolean {
  return state === 'refused' || state === 'skipped';
}
