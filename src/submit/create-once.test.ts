import { expect } from 'vitest';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { newRun } from '../../test/support/runs.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import { CLAIM_SECONDS, recordRun } from '../ledger/record-run.ts';
import { claimDueRuns } from '../ledger/submission-queue.ts';
import { createOnce } from './create-once.ts';

test('a create ends well before its claim: no other process attempts it at the same time', async () => {
  await recordRun(db, { run: newRun(), claim: false });
  const { runs } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
  const limits: (number | undefined)[] = [];
  const createWorkflow: ArgoClient['createWorkflow'] = async (namespace, _manifest, options) => {
    limits.push(options?.timeoutMs);
    return { metadata: { name: 'w', namespace, uid: 'u' } };
  };
  const unexpected = async (): Promise<never> => {
    throw new Error('nothing was refused');
  };
  const workflows = { createWorkflow, getWorkflow: unexpected, isReady: unexpected };
  await createOnce(runs[0]!, { db, workflows, isClaimed: () => true });
  expect(limits).toHaveLength(1);
  expect(limits[0]).toBeLessThan(CLAIM_SECONDS * 1000);
});
