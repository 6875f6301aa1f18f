import { expect } from 'vitest';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { newRun } from '../../test/support/runs.ts';
import { observationOfCreate, observeWorkflows, type Observation } from './observe-workflows.ts';
import { prepareRun, recordTogether } from './record-run.ts';

test('batches with the same workflows in different order do not deadlock', async () => {
  const { namespace } = newRun().plan;
  const ids = Array.from({ length: 50 }, (_, index) => `d${index}`);
  const receipts = await recordTogether(
    db,
    ids.map((deliveryId) => prepareRun({ run: newRun({ deliveryId }), claim: false })),
  );
  const created = receipts.map((receipt, index) => {
    const workflow = { workflowName: receipt!.workflowName, workflowUid: `u${index}` };
    return observationOfCreate({ namespace, deliveryId: ids[index]! }, workflow);
  });
  await observeWorkflows(db, created);
  for (let round = 0; round < 5; round += 1) {
    const batches = [0, 1, 2, 3].map((batch) => {
      const seen = created.map((one): Observation => ({ ...one, state: 'running', progress: `${batch}/${round + 9}` }));
      return batch % 2 === 0 ? seen : seen.toReversed();
    });
    await Promise.all(batches.map((batch) => observeWorkflows(db, batch)));
  }
  const { rows } = await db.query({ text: `SELECT DISTINCT state FROM facteur.runs` });
  expect(rows).toEqual([{ state: 'running' }]);
});
