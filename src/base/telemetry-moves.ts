import { meter } from './telemetry.ts';

/**
 * Counts a run's moves from state to state. One metric, whoever moves the run.
 *
 * @param expected moves that are counted from zero, because a series that begins with its first move shows no increase
 */
export function createMoveCounter(
  expected: readonly (readonly [from: string, to: string])[],
): (from: string, to: string) => void {
  const moves = meter().createCounter('facteur_run_moves_total', {
    description: 'Moves of runs from state to state, as the ledger recorded them.',
  });
  const count = (from: string, to: string, times = 1): void => moves.add(times, { from, to });
  for (const [from, to] of expected) {
    count(from, to, 0);
  }
  return count;
}
