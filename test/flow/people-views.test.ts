import { expect } from 'vitest';
import { archiveRuns } from '../../src/ledger/retention.ts';
import { callApi } from '../support/api.ts';
import { startFacteur } from '../support/facteur.ts';
import { LEARNING, reflect, startTask } from '../support/knowledge.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { forceState } from '../support/runs.ts';

async function readyStages(): Promise<Record<string, number>> {
  const { rows } = await db.query<{ stage: string; soft: number }>({
    text: 'SELECT stage, soft_dependencies_open AS soft FROM facteur.task_ready_view',
  });
  return Object.fromEntries(rows.map(({ stage, soft }) => [stage, soft]));
}

test('task_ready_view shows the tasks that can start', async () => {
  const { url } = await startFacteur({ db });
  const call = async (request: string, body: object) => (await callApi(url, request, { body })).body;
  const { ideaId } = await call('POST /v1/ideas', { sourceType: 'wish', sourceRef: '1', status: 'received' });
  const task = async (stage: string): Promise<string> =>
    (await call(`POST /v1/ideas/${ideaId}/tasks`, { stage })).taskId;
  const [plan, build, review, release] = [
    await task('plan'),
    await task('build'),
    await task('review'),
    await task('release'),
  ];
  const depends = (on: string, by: string, type: string) => call(`PUT /v1/tasks/${by}/dependencies/${on}`, { type });
  await depends(plan, build, 'hard');
  await depends(build, review, 'soft');
  await depends(review, release, 'approval');
  expect(await readyStages()).toEqual({ plan: 0, review: 1 });
  await callApi(url, `PATCH /v1/tasks/${plan}`, { body: { state: 'succeeded' } });
  expect(await readyStages()).toEqual({ build: 0, review: 1 });
  await callApi(url, `PATCH /v1/tasks/${review}`, { body: { state: 'succeeded' } });
  expect(await readyStages()).toEqual({ build: 0, release: 0 });
});

test('idea_summary_view summarizes the runs of an idea, including archived ones', async () => {
  const facteur = await startFacteur({ db, env: LEARNING });
  const first = await startTask(facteur, 'gh-1');
  await forceState(db, first.runId, 'failed');
  await db.query({
    text: `UPDATE facteur.runs SET accepted_at = now() - interval '1 year', updated_at = now() - interval '1 year' WHERE run_id = $1`,
    values: [first.runId],
  });
  expect(await archiveRuns(db, { olderThanSeconds: 60, limit: 10 })).toMatchObject({ archived: 1 });
  const second = await startTask(facteur, 'gh-2');
  await reflect(facteur, second, 'Measure twice.');
  await callApi(facteur.url, `POST /v1/runs/${second.runId}/policy-checks`, {
    token: second.token,
    body: { policyKey: 'tests.required', status: 'fail' },
  });
  const { rows } = await db.query({ text: 'SELECT * FROM facteur.idea_summary_view' });
  expect(rows).toMatchObject([
    {
      source_ref: 'acme/rocket#7',
      tasks: 1,
      tasks_succeeded: 0,
      runs: 2,
      runs_archived: 1,
      runs_live: 1,
      last_run_status: 'submitted',
      reflections: 1,
      artifacts: 0,
      checks_failed: 1,
    },
  ]);
  expect(await readyStages()).toEqual({});
});
