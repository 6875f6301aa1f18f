import { meter } from './telemetry.ts';

/** Counts a run's moves from state to state. One metric, whoever moves the run. */
export function createMoveCounter(): (from: string, to: string) => void {
  const moves = meter().createCounter('facteur_run_moves_total', {
    description: 'Moves of runs from state to state, as the ledger recorded them.',
  });
  return (from, to) => moves.add(1, { from, to });
}
