import { expect } from 'vitest';
import { newRun } from '../../test/support/runs.ts';
import { recordRun } from './record-run.ts';
import { claimDueRuns } from './submission-queue.ts';
import { database, test } from '../../test/support/ledger-fixture.ts';

test('looks again soon for a due run that another transaction has locked', async () => {
  const { db } = database;
  const { runId } = await recordRun(db, { run: newRun(), claim: false });
  await db.transaction(async (tx) => {
    await tx.query({ text: 'SELECT FROM facteur.runs WHERE run_id = $1 FOR SHARE', values: [runId] });
    expect(await claimDueRuns(db, { limit: 5, maxActive: undefined })).toEqual({ runs: [], nextInMs: 100 });
  });
  const { runs, nextInMs } = await claimDueRuns(db, { limit: 5, maxActive: undefined });
  expect(runs.map((run) => run.runId)).toEqual([runId]);
  expect(nextInMs).toBeUndefined();
});
