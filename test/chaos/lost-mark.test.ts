import { expect, onTestFinished, test, vi } from 'vitest';
import { openTestPostgres } from '../support/database.ts';
import { startFacteur } from '../support/facteur.ts';
import { unavailable } from '../support/faulty-database.ts';
import { created, expectRun, runOf, timePasses } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { startOwnPostgres } from './own-postgres.ts';

// A mark is committed without waiting for the disk. What else is committed does wait.

test('PostgreSQL is killed and loses a mark: the recorded run is found again, and is still one workflow', async () => {
  const postgres = await startOwnPostgres();
  const db = openTestPostgres(postgres.dsn, { poolSize: 4 });
  onTestFinished(async () => {
    await db.close();
    await postgres.stop();
  });
  let seenLost = false;
  // However long PostgreSQL takes to come back, nobody finds the run before it was seen to be lost.
  const before = (statement: string): void => {
    if (statement === 'claim-due-runs' && !seenLost) {
      unavailable();
    }
  };
  const facteur = await startFacteur({ db, faults: { before } });
  await postgres.holdWalWriter();
  const { body } = await facteur.send(event({ interactionId: 'd1' }));
  expect(body.status).toBe('submitted');
  const { workflow_uid: uid } = await expectRun(db, 'd1', 'submitted');
  await postgres.crash();

  // Connections of before are found to be broken once each.
  const lost = await vi.waitFor(() => runOf(db, 'd1'));
  expect(lost).toMatchObject({ state: 'queued', workflow_name: body.workflowName, workflow_uid: null });
  seenLost = true;
  await vi.waitFor(() => timePasses(db));
  expect(await expectRun(db, 'd1', 'submitted')).toMatchObject({ workflow_uid: uid, workflow_name: body.workflowName });
  expect(created(facteur.cluster)).toEqual([body.workflowName]);
});
