import { expect } from 'vitest';
import { clientFor, manifest, NAMESPACE, seed, startCluster } from '../../test/support/cluster.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { newRun, submitRun } from '../../test/support/runs.ts';
import { ArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import { requestCancel } from '../ledger/cancel-and-retry.ts';
import { recordRun } from '../ledger/record-run.ts';
import { claimDueRuns } from '../ledger/submission-queue.ts';
import { stopOnce } from './stop-once.ts';

test('a workflow that starts during its cancel is stopped, not terminated: its exit handler may run', async () => {
  const cluster = await startCluster({ defaults: { pendingMs: 3_600_000 } });
  const { runId, workflowName } = await recordRun(db, { run: newRun(), claim: true });
  seed(cluster, manifest(workflowName));
  const entry = () => cluster.store.get('workflows', NAMESPACE, workflowName);
  await submitRun(db, runId, entry().object.metadata.uid);
  await requestCancel(db, runId, 'ada');
  const { runs } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
  const phases = ['Pending', 'Running'];
  const client = clientFor(cluster.url);
  // Like a controller without room that has room a moment later.
  const patchWorkflow: ArgoClient['patchWorkflow'] = async (...request) => {
    const seen = await client.patchWorkflow(...request);
    cluster.store.update('workflows', entry(), 'patch', (object) => ({ ...object, status: { phase: 'Running' } }));
    return { ...seen, status: { phase: phases.shift() ?? '' } };
  };
  const workflows = { patchWorkflow, getWorkflow: client.getWorkflow };
  expect(await stopOnce(runs[0]!, workflows)).toMatchObject({ kind: 'postponed' });
  expect(entry().object.spec['shutdown']).toBe('Stop');
  expect(await stopOnce(runs[0]!, workflows)).toEqual({ kind: 'told' });
  expect(entry().object.spec['shutdown']).toBe('Stop');
});

test('respects the cluster’s Retry-After', async () => {
  const { runId } = await recordRun(db, { run: newRun(), claim: true });
  await submitRun(db, runId);
  await requestCancel(db, runId, 'ada');
  const { runs } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
  const busy = async (): Promise<never> => {
    throw new ArgoError('argo.too_many_requests', 'busy', { status: 429, retryAfterMs: 7000 });
  };
  const ending = await stopOnce(runs[0]!, { getWorkflow: busy, patchWorkflow: busy });
  expect(ending).toMatchObject({ kind: 'postponed', afterMs: 7000 });
});
