import { describe, expect } from 'vitest';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { observation } from '../../test/support/observations.ts';
import { newRun, submitRun } from '../../test/support/runs.ts';
import { deliveryLabel } from '../domain/workflow-name.ts';
import { observeWorkflows, type Observation, type Observed } from './observe-workflows.ts';
import { recordRun } from './record-run.ts';

const at = (seconds: number): Date => new Date(Date.UTC(2026, 10, 1, 10, 0, seconds));
const apply = (seen: Observation): Promise<Observed[]> => observeWorkflows(db, [seen]);

async function rowOf(runId: string) {
  const { rows } = await db.query({ text: 'SELECT * FROM facteur.runs WHERE run_id = $1', values: [runId] });
  return rows[0];
}

async function movesOf(runId: string): Promise<readonly string[]> {
  const { rows } = await db.query<{ move: string }>({
    text: `SELECT concat(payload->>'from', '>', payload->>'to') AS move FROM codex_kb.run_events
      WHERE task_run_id = $1 AND event_type = 'state.change' ORDER BY id`,
    values: [runId],
  });
  return rows.map(({ move }) => move);
}

describe.each(['succeeded', 'failed', 'canceled'] as const)('the workflow of a run that has %s', (before) => {
  /** A run with a workflow that ran from second 1 to second 10. */
  async function ended() {
    const run = newRun();
    const { runId, workflowName: name } = await recordRun(db, { run, claim: true });
    await submitRun(db, runId, 'uid');
    const at1 = { name, uid: 'uid', deliveryLabel: deliveryLabel(run.deliveryId), version: 5n, startedAt: at(1) };
    const end = observation({ ...at1, namespace: run.plan.namespace, state: before, finishedAt: at(10) });
    await apply(end);
    return { runId, end };
  }

  test('runs again: so does the run', async () => {
    const { runId, end } = await ended();
    const alive = { ...end, version: 6n, state: 'running', startedAt: at(40), finishedAt: undefined } as const;
    expect(await apply(alive)).toMatchObject([{ effect: 'unconfirmed' }]);
    await apply({ ...alive, confirmed: true });
    expect(await rowOf(runId)).toMatchObject({ state: 'running', retry_count: 1, finished_at: null });
  });

  test.each([
    ['succeeded', at(40), at(50)],
    ['failed', at(40), at(50)],
    ['error', at(40), at(50)],
    // Argo has times in whole seconds.
    ['failed', at(1), at(11)],
  ] as const)('was retried and is already %s', async (state, startedAt, finishedAt) => {
    const { runId, end } = await ended();
    const again = { ...end, version: 9n, state, startedAt, finishedAt };
    expect(await apply(again)).toMatchObject([{ effect: 'unconfirmed' }]);
    await apply({ ...again, confirmed: true });
    expect(await rowOf(runId)).toMatchObject({ state, previous_state: 'running', retry_count: 1 });
    expect((await movesOf(runId)).slice(2)).toEqual([`submitted>${before}`, `${before}>running`, `running>${state}`]);
  });

  test('was not retried: a label change, a stop or a deletion changes nothing', async () => {
    const { runId, end } = await ended();
    for (const late of [end, { ...end, state: 'canceled' }, { ...end, state: 'lost' }] as const) {
      expect(await apply({ ...late, version: 9n, confirmed: true })).toEqual([]);
    }
    expect(await rowOf(runId)).toMatchObject({ state: before, retry_count: 0 });
  });
});
