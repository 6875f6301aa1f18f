import { expect } from 'vitest';
import { lockWait } from '../../test/support/lock-waits.ts';
import { newRun, observeRun, submitRun } from '../../test/support/runs.ts';
import { recordRun } from './record-run.ts';
import { database, test } from '../../test/support/ledger-fixture.ts';

/** What only a server with several connections can show. */

test('details that are seen while the creation of the workflow is being recorded are kept', async () => {
  const { db } = database;
  const { runId } = await recordRun(db, { run: newRun(), claim: true });
  const { promise: mayCommit, resolve: commit } = Promise.withResolvers<void>();
  const { promise: isMarked, resolve: marked } = Promise.withResolvers<void>();
  const marking = db.transaction(async (tx) => {
    await submitRun(tx, runId);
    marked();
    await mayCommit;
  });
  await isMarked;
  const observing = observeRun(db, runId, { version: 1n, step: 'Workflow processing has been postponed' });
  await lockWait(db);
  commit();
  await marking;
  expect(await observing).toMatchObject({ from: 'submitted', to: 'submitted', effect: 'updated' });
});
