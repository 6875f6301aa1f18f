import { expect, onTestFinished } from 'vitest';
import { silentLogger } from '../base/logger.ts';
import type { ArgoClient, Workflow } from '../clients/argo/workflows.ts';
import { recordRun } from '../ledger/record-run.ts';
import { approvalOf, openApproval } from '../../test/support/approvals.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { newRun } from '../../test/support/runs.ts';
import { Decider } from './decider.ts';

/** A run with a decision that is due, about a workflow of this uid. */
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

test('decisions about one workflow are written one at a time, and those about others meanwhile', async () => {
  const runs = [await decided('same'), await decided('same'), await decided('same'), await decided('other')];
  const uids = new Map(runs.map(({ name }, index) => [name, index < 3 ? 'same' : 'other']));
  /** Ends the writes that are under way. */
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
