import { describe, expect } from 'vitest';
import { forceState, newRun, observeRun, submitRun } from '../../test/support/runs.ts';
import { RUN_MOVES, RUN_STATES, type RunState } from '../domain/run-state.ts';
import { requestCancel } from './cancel-and-retry.ts';
import { moveRun } from './move-run.ts';
import { recordRun } from './record-run.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';

const record = async (deliveryId?: string): Promise<string> =>
  (await recordRun(db, { run: newRun(deliveryId === undefined ? {} : { deliveryId }), claim: true })).runId;
const row = async (runId: string) =>
  (
    await db.query({
      text: 'SELECT * FROM facteur.runs LEFT JOIN facteur.open_runs USING (run_id) WHERE run_id = $1',
      values: [runId],
    })
  ).rows[0];
const allowed = (from: RunState): readonly RunState[] => RUN_MOVES[from];

describe.each(RUN_STATES)('from %s', (from) => {
  test('the database allows exactly the moves of the table', async () => {
    const runId = await record();
    const possible: RunState[] = [];
    for (const to of RUN_STATES) {
      await forceState(db, runId, from);
      const moved = await db
        .query({
          text: 'UPDATE facteur.runs SET previous_state = state, state = $2 WHERE run_id = $1',
          values: [runId, to],
        })
        .catch((error: unknown) => {
          expect(error).toMatchObject({ constraint: 'runs_state_moves' });
          return undefined;
        });
      if (moved !== undefined) {
        possible.push(to);
      }
    }
    expect(possible.toSorted()).toEqual([...allowed(from)].toSorted());
  });

  test('only a queued run can be refused or canceled in the queue', async () => {
    const runId = await record();
    for (const to of ['refused', 'canceled'] as const) {
      await forceState(db, runId, from);
      const before = await row(runId);
      const { moved } = await moveRun(db, { runId, to, reason: 'because', fence: 1 });
      expect({ to, moved }).toEqual({ to, moved: from === 'queued' });
      expect(await row(runId)).toEqual(
        moved
          ? expect.objectContaining({ state: to, previous_state: from, revision: Number(before?.['revision']) + 1 })
          : before,
      );
    }
  });
});

test('the only initial state is queued', async () => {
  const runId = await record();
  const possible: RunState[] = [];
  for (const state of RUN_STATES) {
    const text = 'UPDATE facteur.runs SET previous_state = NULL, state = $2 WHERE run_id = $1';
    const set = await db.query({ text, values: [runId, state] }).catch(() => undefined);
    if (set !== undefined) {
      possible.push(state);
    }
  }
  expect(possible).toEqual(['queued']);
});

test('the database rejects an unknown state', async () => {
  const runId = await record();
  const text = `UPDATE facteur.runs SET previous_state = state, state = 'paused' WHERE run_id = $1`;
  await expect(db.query({ text, values: [runId] })).rejects.toMatchObject({ constraint: 'runs_state_moves' });
});

describe('what other readers see', () => {
  const seen = async (runId: string) => {
    const { rows } = await db.query({
      text: `SELECT tr.status, tr.external_run_id, tr.error_code, t.state AS task_state,
          (SELECT json_agg(json_build_array(event_type, actor, payload) ORDER BY id) FROM codex_kb.run_events WHERE task_run_id = tr.id) AS events
        FROM codex_kb.task_runs tr JOIN codex_kb.tasks t ON t.id = tr.task_id WHERE tr.id = $1`,
      values: [runId],
    });
    return rows[0];
  };

  test('a submitted run has its workflow, and is shown as queued', async () => {
    const { runId, workflowName } = await recordRun(db, { run: newRun(), claim: true });
    await submitRun(db, runId, 'uid-1');
    expect(await seen(runId)).toEqual({
      status: 'queued',
      external_run_id: workflowName,
      error_code: null,
      task_state: 'queued',
      events: [
        ['state.change', 'facteur', { to: 'queued', door: 'http' }],
        ['state.change', 'facteur', { from: 'queued', to: 'submitted' }],
      ],
    });
    expect(await row(runId)).toMatchObject({ workflow_uid: 'uid-1', due_at: null, claimed_until: null });
  });

  test.each(['refused', 'canceled'] as const)('a run that was %s in the queue has no workflow', async (to) => {
    const runId = await record();
    await moveRun(db, { runId, to, reason: 'no such template', actor: 'somebody', fence: 1 });
    expect(await seen(runId)).toMatchObject({ status: to, external_run_id: null, error_code: to, task_state: to });
    expect((await seen(runId))?.['events']).toContainEqual([
      'state.change',
      'somebody',
      { from: 'queued', to, reason: 'no such template' },
    ]);
  });

  test('a task shows the state of its newest run', async () => {
    const issue = { sourceType: 'github_issue', sourceRef: 'acme/rocket#7', status: 'received', payload: {} };
    const [old, fresh] = [newRun({ idea: issue }), newRun({ idea: issue })];
    const { runId } = await recordRun(db, { run: old, claim: true });
    const newest = await recordRun(db, { run: fresh, claim: true });
    await observeRun(db, newest.runId, { state: 'running' });
    await moveRun(db, { runId, to: 'refused', reason: 'late', fence: 1 });
    expect(await seen(runId)).toMatchObject({ status: 'refused', task_state: 'running' });
  });
});

test('a run that is canceled during its submission is due again at once', async () => {
  const runId = await record();
  await requestCancel(db, runId, 'somebody');
  expect(await submitRun(db, runId)).toMatchObject({ effect: 'moved', dueNow: true, messageChanged: false });
  expect(await row(runId)).toMatchObject({ state: 'submitted', due_at: expect.any(Date) });
});
