import { expect, onTestFinished } from 'vitest';
import { silentLogger } from '../base/logger.ts';
import type { ArgoClient, Workflow } from '../clients/argo/workflows.ts';
import { recordRun } from '../ledger/record-run.ts';
import { approvalOf, openApproval } from '../../test/support/approvals.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { newRun } from '../../test/support/runs.ts';
import { TurnableTimer } from '../../test/support/turnable-timer.ts';
import { Decider } from './decider.ts';

/** A run with a due decision for a workflow with this uid. */
async function decided(uid: string): Promise<{ readonly runId: string; readonly name: string }> {
  const { runId, workflowName: name } = await recordRun(db, { run: newRun(), claim: false });
  await openApproval(db, runId);
  await db.query({
    text: `UPDATE facteur.approvals SET workflow_uid = $2, state = 'deciding', verdict = 'approved', decided_by = 'ada',
      decided_at = now(), due_at = now() WHERE run_id = $1`,
    values: [runId, uid],
  });
  return { runId, name };
}

test('writes decisions for one workflow one at a time, and those for others concurrently', async () => {
  const runs = [await decided('same'), await decided('same'), await decided('same'), await decided('other')];
  const uids = new Map(runs.map(({ name }, index) => [name, index < 3 ? 'same' : 'other']));
  /** Ends the writes in progress. */
  const writing = new Map<string, () => void>();
  let most = 0;
  let over = false;
  const patchWorkflowIf: ArgoClient['patchWorkflowIf'] = async (namespace, name) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    writing.set(name, resolve);
    const same = [...writing.keys()].filter((one) => uids.get(one) === 'same').length;
    most = Math.max(most, same);
    await (over || promise);
    writing.delete(name);
    const nodes = { id: { id: 'id', type: 'Suspend', phase: 'Succeeded', message: 'approved by ada' } };
    return { metadata: { namespace, name, uid: uids.get(name) }, status: { nodes } } as unknown as Workflow;
  };
  const unexpected = async (): Promise<never> => {
    throw new Error('nothing was refused');
  };
  const decider = new Decider({
    db,
    workflows: { patchWorkflowIf, patchWorkflow: unexpected, getWorkflow: unexpected },
    logger: silentLogger,
    timer: new TurnableTimer(),
    random: () => 0,
    concurrency: 16,
    onChanged: () => undefined,
    onSettled: () => undefined,
  });
  onTestFinished(async () => {
    over = true;
    writing.forEach((end) => end());
    await decider.stop();
  });
  decider.start();
  await expect.poll(() => [...writing.keys()].map((name) => uids.get(name)).toSorted()).toEqual(['other', 'same']);
  for (const { runId } of runs) {
    await expect
      .poll(async () => {
        writing.forEach((end) => end());
        return approvalOf(db, runId);
      })
      .toMatchObject({ state: 'approved' });
  }
  expect(most).toBe(1);
});

/** Three decisions for one workflow. The first is being written until `end` is called. */
async function slowWorkflow() {
  const runs = [await decided('same'), await decided('same'), await decided('same')];
  const { promise: written, resolve: end } = Promise.withResolvers<void>();
  const writes: string[] = [];
  const patchWorkflowIf: ArgoClient['patchWorkflowIf'] = async (namespace, name) => {
    writes.push(name);
    await written;
    const nodes = { id: { id: 'id', type: 'Suspend', phase: 'Succeeded', message: 'approved by ada' } };
    return { metadata: { namespace, name, uid: 'same' }, status: { nodes } } as unknown as Workflow;
  };
  const unexpected = async (): Promise<never> => {
    throw new Error('nothing was refused');
  };
  const timer = new TurnableTimer();
  const decider = new Decider({
    ...{ db, timer, logger: silentLogger, random: () => 0, concurrency: 16 },
    workflows: { patchWorkflowIf, patchWorkflow: unexpected, getWorkflow: unexpected },
    onChanged: () => undefined,
    onSettled: () => undefined,
  });
  onTestFinished(() => decider.stop());
  decider.start();
  await expect.poll(() => writes.length).toBe(1);
  return { decider, end, runs, timer, writes };
}

test('leaves a decision with a nearly expired claim to the next claim', async () => {
  const { decider, end, runs, timer, writes } = await slowWorkflow();
  timer.advance(10_001);
  end();
  await expect.poll(() => approvalOf(db, runs[0]?.runId ?? '')).toMatchObject({ state: 'approved' });
  await db.query({ text: `UPDATE facteur.approvals SET due_at = now() WHERE state = 'deciding'` });
  // None is written with a claim that could expire meanwhile.
  expect(writes).toHaveLength(1);
  decider.nudge();
  for (const { runId } of runs) {
    await expect.poll(() => approvalOf(db, runId)).toMatchObject({ state: 'approved' });
  }
  expect(writes).toHaveLength(3);
});

test('a stop waits for the write in flight, but not for those behind it', async () => {
  const { decider, end, writes } = await slowWorkflow();
  const stopped = decider.stop();
  end();
  await stopped;
  expect(writes).toHaveLength(1);
});
