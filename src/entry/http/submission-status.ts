import type { RunState } from '../../domain/run-state.ts';

/**
 * The status that a sender gets for an accepted run. It is also `submitted` for a redelivery after the run has started or ended.
 */
export function submissionStatus(state: RunState): 'queued' | 'skipped' | 'submitted' {
  return state === 'queued' || state === 'skipped' ? state : 'submitted';
}
