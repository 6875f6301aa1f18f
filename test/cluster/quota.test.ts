import { expect, onTestFinished, test } from 'vitest';
import { countRuns, expectRun, runOf, timePasses } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { freshId, useBench } from './bench.ts';
import { setQuota } from './quota.ts';

// A full quota is temporary: no run is refused because of it.

const NAMESPACE = 'quota-test';
const bench = useBench();

const WORKFLOWS = `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/workflows`;

test('runs over the quota wait, and continue when others have made room or the quota is raised', async () => {
  const { api } = bench.world;
  await bench.deployIn(NAMESPACE);
  // On a shared cluster, workflows of an earlier run may remain.
  await api.call(WORKFLOWS, { method: 'DELETE' });
  onTestFinished(() => setQuota(api, NAMESPACE, undefined));
  await setQuota(api, NAMESPACE, 2);
  const facteur = await bench.start('as-told', {
    env: { FACTEUR_ARGO_NAMESPACE: NAMESPACE, FACTEUR_ARGO_SERVICE_ACCOUNT: 'default' },
  });
  const ids = Array.from({ length: 6 }, () => freshId('quota'));
  for (const interactionId of ids) {
    expect((await facteur.send(event({ interactionId }))).status).toBe(202);
  }
  await expect.poll(() => countRuns(bench.db, 'succeeded')).toBe(2);
  const waiting = await Promise.all(ids.map((id) => runOf(bench.db, id)));
  expect(waiting.filter(({ state }) => state === 'queued')).toHaveLength(4);
  expect(waiting.find(({ state }) => state === 'queued').reason).toContain('exceeded quota: few');

  for (const { workflow_name: name } of waiting.filter((run) => run.state === 'succeeded')) {
    await api.call(`${WORKFLOWS}/${name}`, { method: 'DELETE' });
  }
  await setQuota(api, NAMESPACE, 2);
  await timePasses(bench.db);
  await expect.poll(() => countRuns(bench.db, 'succeeded')).toBe(4);

  await setQuota(api, NAMESPACE, 100);
  await timePasses(bench.db);
  await Promise.all(ids.map((id) => expectRun(bench.db, id, 'succeeded')));
});
