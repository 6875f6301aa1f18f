import { expect } from 'vitest';
import { newRun, observeRun, submitRun } from '../../test/support/runs.ts';
import { timePasses } from '../../test/support/ledger.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { DatabaseError } from '../clients/postgres/database.ts';
import { isFinished, type RunState } from '../domain/run-state.ts';
import { requestCancel } from './cancel-and-retry.ts';
import { moveRun } from './move-run.ts';
import { recordRun } from './record-run.ts';
import { claimDueRuns, postponeRun, settleRun } from './submission-queue.ts';

/** The place of an open run: waiting for its creation, in the cluster, or waiting for its stop. */
interface Place {
  readonly state: RunState;
  readonly canceled: boolean;
  readonly line: string | null;
  readonly inCluster: boolean | null;
  readonly isDue: boolean;
}

async function places(): Promise<Place[]> {
  const { rows } = await db.query<Place>({
    text: `SELECT DISTINCT state, cancel_requested_by IS NOT NULL AS canceled, line, in_cluster AS "inCluster", due_at IS NOT NULL AS "isDue"
      FROM facteur.runs FULL JOIN facteur.open_runs USING (run_id)`,
  });
  return rows;
}

/** Whether the row in `open_runs` matches the state. */
function isRight({ state, canceled, line, inCluster, isDue }: Place): boolean {
  const stops = line === 'stop' && canceled;
  if (state === 'queued') {
    return inCluster === false && isDue && stops === canceled;
  }
  if (!isFinished(state)) {
    return inCluster === true && (stops || !isDue);
  }
  // Its workflow may have appeared after the run had ended in the queue.
  return line === null || (stops && isDue);
}

/** Retries after a conflict of two batches in different order, as their callers do. */
async function again(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof DatabaseError && error.code === 'postgres.conflict')) {
      throw error;
    }
    await again(act);
  }
}

async function work(limit: number, maxActive: number | undefined): Promise<void> {
  const { runs } = await claimDueRuns(db, { limit, maxActive });
  for (const [index, run] of runs.entries()) {
    await (index % 2 === 0
      ? settleRun(db, run)
      : postponeRun(db, run, { delayMs: 0, reason: 'no answer', refused: false }));
  }
}

test('under concurrent moves, cancels and claims, a run has a place in the queue exactly while it is open', async () => {
  const RUNS = 40;
  const ids = await Promise.all(
    Array.from(
      { length: RUNS },
      async (_, index) => (await recordRun(db, { run: newRun(), claim: index % 2 === 0 })).runId,
    ),
  );
  const acts: ((runId: string, version: bigint) => Promise<unknown>)[] = [
    (runId) => submitRun(db, runId),
    (runId, version) => observeRun(db, runId, { state: 'running', version }),
    (runId, version) => observeRun(db, runId, { state: 'failed', version, reason: 'x' }),
    (runId, version) => observeRun(db, runId, { state: 'running', version: version + 1n, confirmed: true }),
    (runId) => requestCancel(db, runId, 'ada'),
    (runId) => moveRun(db, { runId, to: 'refused', reason: 'no', fence: 1 }),
    (_, version) => work(3, version % 2n === 0n ? undefined : 5),
    () => timePasses(db),
  ];
  const seen: string[] = [];
  for (let round = 0; round < 4; round += 1) {
    await Promise.all(
      ids.flatMap((runId, index) =>
        acts
          .filter((_act, act) => (index * 7 + act * 3 + round) % 5 < 2)
          .map((act) => again(() => act(runId, BigInt(10 * round + 1 + (index % 3))))),
      ),
    );
    const found = await places();
    expect(found.filter((place) => !isRight(place))).toEqual([]);
    seen.push(...found.flatMap(({ state, line }) => (line === 'stop' ? [state, 'to stop'] : [state])));
  }
  expect(seen).toEqual(expect.arrayContaining(['running', 'failed', 'to stop']));
});
