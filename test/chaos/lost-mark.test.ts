import { expect, onTestFinished, test, vi } from 'vitest';
import { openTestPostgres } from '../support/database.ts';
import { startFacteur } from '../support/facteur.ts';
import { unavailable } from '../support/faulty-database.ts';
import { created, expectRun, runOf, timePasses } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { startOwnPostgres } from './own-postgres.ts';

// The mark "submitted" is committed without waiting for the disk. All other commits wait.

test('after PostgreSQL crashes and loses a mark, the run is submitted again, and is still one workflow', async () => {
  const postgres = await startOwnPostgres();
  const db = openTestPostgres(postgres.dsn, { poolSize: 4 });
  onTestFinished(async () => {
    await db.close();
    await postgres.stop();
  });
  let seenLost = false;
  // However long PostgreSQL takes to restart, no process claims the run before the loss was verified.
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

  // Each connection from before the crash fails once.
  const lost = await vi.waitFor(() => runOf(db, 'd1'));
  expect(lost).toMatchObject({ state: 'queued', workflow_name: body.workflowName, workflow_uid: null });
  seenLost = true;
  await vi.waitFor(() => timePasses(db));
  expect(await expectRun(db, 'd1', 'submitted')).toMatchObject({ workflow_uid: uid, workflow_name: body.workflowName });
  expect(created(facteur.cluster)).toEqual([body.workflowName]);
});
