import { describe, expect } from 'vitest';
import { RUN_STATES, type RunState } from '../../src/domain/run-state.ts';
import { NAMESPACE, type Json } from '../support/cluster.ts';
import { startFacteur } from '../support/facteur.ts';
import { countRuns, created, expectRun, runOf } from '../support/ledger.ts';
import { codexTask, event, type Message } from '../support/messages.ts';
import { forceState } from '../support/runs.ts';
import { db, test } from '../support/ledger-fixture.ts';

const RETRYABLE: readonly RunState[] = ['failed', 'error', 'canceled', 'refused', 'skipped', 'lost'];
const DOORS: readonly [string, Message][] = [
  ['a command', event({ interactionId: 'd1', user: { id: '42' }, options: { objective: 'Again' } })],
  ['a Codex task', codexTask({ deliveryId: 'd1' })],
];

test.each(DOORS)('%s is retried as a new run with the same plan, linked to the first', async (_what, message) => {
  const facteur = await startFacteur({ db });
  const { body: first } = await facteur.send(message);
  await forceState(db, first.runId, 'failed');
  const { code, stdout } = await facteur.cli('runs', 'retry', 'd1', '--json');
  expect(code).toBe(0);
  const receipt: Json = JSON.parse(stdout);
  expect(receipt).toMatchObject({ deliveryId: `retry:${first.runId}`, duplicate: false, state: 'queued' });
  const second = await expectRun(db, receipt.deliveryId, 'submitted');
  const original = await runOf(db, 'd1');
  expect(second).toMatchObject({ retry_of: first.runId, plan: original.plan, user_id: original.user_id });
  expect(second.run_id).not.toBe(first.runId);
  expect(original).toMatchObject({ state: 'failed' });
  const [one, two] = created(facteur.cluster).map(
    (name) => facteur.cluster.store.get('workflows', NAMESPACE, name).object,
  );
  expect(two?.spec).toEqual(one?.spec);
  expect(two?.metadata.labels).not.toEqual(one?.metadata.labels);
  // Both runs have the task of the first, which shows that the newer one has not started.
  const { rows } = await db.query({
    text: 'SELECT state, (SELECT count(*)::int FROM codex_kb.task_runs) FROM codex_kb.tasks',
  });
  expect(rows).toEqual([{ state: 'queued', count: 2 }]);
});

test('repeated retries, at once or later, start one new run, which can be retried itself', async () => {
  const facteur = await startFacteur({ db });
  const { body } = await facteur.send(event({ interactionId: 'd1' }));
  await forceState(db, body.runId, 'failed');
  const twice = await Promise.all([1, 2].map(() => facteur.cli('runs', 'retry', 'd1')));
  const later = await facteur.cli('runs', 'retry', body.workflowName);
  const second = await runOf(db, `retry:${body.runId}`);
  expect(twice.map(({ stdout }) => stdout).toSorted()).toEqual([
    `run ${body.runId} is retried as run ${second.run_id}\n`,
    `run ${body.runId} was already retried as run ${second.run_id}\n`,
  ]);
  expect(later.stdout).toBe(`run ${body.runId} was already retried as run ${second.run_id}\n`);
  expect(await countRuns(db)).toBe(2);
  await expectRun(db, `retry:${body.runId}`, 'submitted');
  await forceState(db, second.run_id, 'error');
  expect((await facteur.cli('runs', 'retry', second.run_id)).code).toBe(0);
  await expectRun(db, `retry:${second.run_id}`, 'submitted');
  expect(created(facteur.cluster)).toHaveLength(3);
});

describe('by state', () => {
  test.each(RUN_STATES.map((state) => [state, RETRYABLE.includes(state) ? 0 : 1] as const))(
    'a run that is %s: exit code %i',
    async (state, code) => {
      const facteur = await startFacteur({ db });
      const { body } = await facteur.send(event({ interactionId: 'd1' }));
      await expectRun(db, 'd1', 'submitted');
      await forceState(db, body.runId, state);
      const run = await facteur.cli('runs', 'retry', 'd1');
      expect(run.code).toBe(code);
      expect(await countRuns(db)).toBe(code === 0 ? 2 : 1);
      const named = `run ${body.runId.slice(0, 8)} (/plan)`;
      expect(run.stderr).toBe(
        {
          queued: `facteur: ${named} is queued: cancel it first\n`,
          submitted: `facteur: ${named} is submitted: cancel it first\n`,
          running: `facteur: ${named} is running: cancel it first\n`,
          succeeded: `facteur: ${named} succeeded: there is nothing to retry\n`,
        }[state as string] ?? '',
      );
    },
  );
});

test('a refused run can be retried once the cluster accepts it', async () => {
  const facteur = await startFacteur({ db });
  const answer = { status: 422, reason: 'Invalid', message: 'spec: Invalid value' };
  facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'answer', answer }, times: 1 });
  const { body } = await facteur.send(event({ interactionId: 'd1' }));
  expect((await facteur.cli('runs', 'retry', body.runId)).code).toBe(0);
  await expectRun(db, `retry:${body.runId}`, 'submitted');
  // The delivery itself stays refused.
  expect(await facteur.send(event({ interactionId: 'd1' }))).toMatchObject({ status: 422, body: { duplicate: true } });
});
