import type { RunState } from '../../domain/run-state.ts';

/**
 * What a sender is told about a run that was accepted: `submitted` also for one that came again after it had started or
 * ended.
 */
export function submissionStatus(state: RunState): 'queued' | 'skipped' | 'submitted' {
  return state === 'queued' || state === 'skipped' ? state : 'submitted';
}
