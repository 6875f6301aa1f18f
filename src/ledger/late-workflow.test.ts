import { describe, expect } from 'vitest';
import { runOf } from '../../test/support/ledger.ts';
import { newRun, submitRun } from '../../test/support/runs.ts';
import type { RunReceipt } from '../domain/run.ts';
import { deliveryLabel } from '../domain/workflow-name.ts';
import { moveRun } from './move-run.ts';
import { findForeign, observeWorkflows, type Observation } from './observe-workflows.ts';
import { recordRun } from './record-run.ts';
import { claimDueRuns, settleRun } from './submission-queue.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { observation } from '../../test/support/observations.ts';

const record = (): Promise<RunReceipt> => recordRun(db, { run: newRun({ deliveryId: 'd1' }), claim: true });

/** The run's workflow as the follower sees it. */
function seen({ namespace, workflowName }: RunReceipt, fields: Partial<Observation> = {}): Observation {
  return observation({
    namespace,
    name: workflowName,
    uid: 'u1',
    deliveryLabel: deliveryLabel('d1'),
    confirmed: true,
    ...fields,
  });
}

describe.each(['canceled', 'refused'] as const)('the workflow of a run that was %s in the queue', (state) => {
  test('is stopped when its creator finds it, and the state of the run does not change', async () => {
    const run = await record();
    await moveRun(db, { runId: run.runId, to: state, reason: 'because', fence: 1 });
    expect(await submitRun(db, run.runId, '')).toBeUndefined();
    expect(await submitRun(db, run.runId, 'u1')).toMatchObject({ effect: 'unwanted', to: state });
    expect(await findForeign(db, [{ ...run, workflowUid: 'u1' }])).toEqual([]);
    const { runs } = await claimDueRuns(db, { limit: 5, maxActive: 0 });
    expect(runs).toMatchObject([{ state, workflowUid: 'u1', cancelRequestedBy: 'facteur' }]);
    await settleRun(db, runs[0]!);
    expect(await runOf(db, 'd1')).toMatchObject({ state, due_at: null, revision: 2 });
  });

  test('is stopped once when it is observed, and is not followed', async () => {
    const run = await record();
    await moveRun(db, { runId: run.runId, to: state, reason: 'because', fence: 1 });
    expect(await observeWorkflows(db, [seen(run, { deliveryLabel: 'of somebody else' })])).toEqual([]);
    expect(await observeWorkflows(db, [seen(run, { state: 'succeeded' })])).toEqual([]);
    expect(await observeWorkflows(db, [seen(run)])).toMatchObject([{ effect: 'unwanted', to: state, dueNow: true }]);
    expect(await observeWorkflows(db, [seen(run, { progress: '1/2' })])).toEqual([]);
    expect(await runOf(db, 'd1')).toMatchObject({
      state,
      workflow_uid: 'u1',
      cancel_requested_by: 'facteur',
      due_at: expect.any(Date),
      retry_count: 0,
      revision: 2,
    });
  });
});

test('a workflow that another process saw first belongs to the run; one with another uid or name is foreign', async () => {
  const { runId, workflowName } = await record();
  await submitRun(db, runId, 'u1');
  const before = await runOf(db, 'd1');
  const seenFirst = { runId, workflowName, workflowUid: 'u1' };
  const foreign = [{ runId, state: 'submitted' }];
  expect(await submitRun(db, runId, 'u1')).toBeUndefined();
  expect(await findForeign(db, [seenFirst])).toEqual([]);
  expect(await findForeign(db, [{ ...seenFirst, workflowUid: 'u2' }])).toEqual(foreign);
  expect(await findForeign(db, [{ ...seenFirst, workflowName: 'plan-0' }])).toEqual(foreign);
  expect(await runOf(db, 'd1')).toEqual(before);
});
