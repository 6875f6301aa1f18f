import { expect, test } from 'vitest';
import type { Json } from '../support/cluster.ts';
import { expectRun } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { freshId, useBench } from './bench.ts';

const bench = useBench();

const RUNS = 3;
const STEPS = 10;
const ALL = RUNS * STEPS;

interface Approval {
  readonly runId: string;
  readonly node: string;
  readonly state: string;
  readonly attempts: number;
  readonly seconds: number | null;
}

/** All approvals, with the time from the decision until the workflow had it. */
async function approvals(): Promise<readonly Approval[]> {
  const { rows } = await bench.db.query<Approval>({
    text: `SELECT run_id AS "runId", node, state, attempts, extract(epoch FROM applied_at - decided_at)::float8 AS seconds
      FROM facteur.approvals ORDER BY seconds`,
  });
  return rows;
}

async function podsOf(workflow: string): Promise<readonly Json[]> {
  const selector = encodeURIComponent(`workflows.argoproj.io/workflow=${workflow}`);
  return (await bench.world.api.call(`/api/v1/namespaces/argo-workflows/pods?labelSelector=${selector}`)).items;
}

function stepOf({ metadata }: Json): string {
  return metadata.annotations['workflows.argoproj.io/node-name'].split('.').at(-1);
}

test(`${ALL} approvals while pods report: each is applied, and no step runs twice`, async ({ annotate }) => {
  const facteur = await bench.start('asks-while-pods-report');
  const ids = Array.from({ length: RUNS }, () => freshId('asks'));
  const answers = await Promise.all(ids.map((interactionId) => facteur.send(event({ interactionId }))));
  await expect.poll(async () => (await approvals()).map(({ state }) => state)).toEqual(Array(ALL).fill('waiting'));
  // Without its pod, a step that runs again needs a new one.
  for (const { body } of answers) {
    const built = (await podsOf(body.workflowName)).find((pod) => stepOf(pod) === 'build');
    await bench.world.api.remove({ apiVersion: 'v1', kind: 'Pod', metadata: built.metadata });
  }
  const decided = await Promise.all(
    (await approvals()).map(({ runId, node }) => facteur.cli('approvals', 'approve', runId, node, '--by', 'ada')),
  );
  expect(decided.filter(({ code }) => code !== 0)).toEqual([]);
  await expect.poll(async () => (await approvals()).map(({ state }) => state)).toEqual(Array(ALL).fill('approved'));
  for (const [index, id] of ids.entries()) {
    await expectRun(bench.db, id, 'succeeded');
    const tests = Array.from({ length: 12 }, (_, number) => `test(${number}:${number})`);
    const steps = async () => (await podsOf(answers[index]?.body.workflowName)).map(stepOf).toSorted();
    // A removed pod may take a moment to disappear.
    await expect.poll(steps).toEqual(['deploy', ...tests].toSorted());
  }
  const seconds = (await approvals()).map((approval) => approval.seconds ?? Number.NaN);
  const [median, p95] = [seconds[Math.floor(ALL / 2)], seconds[Math.floor(ALL * 0.95)]];
  await annotate(`from the decision to the resumed step: p50 ${median} s, p95 ${p95} s`);
});
