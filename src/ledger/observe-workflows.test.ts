import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { beforeEach, describe, expect } from 'vitest';
import type { NewRun } from '../domain/run.ts';
import { isFinished, RUN_MOVES, type RunState } from '../domain/run-state.ts';
import { deliveryLabel } from '../domain/workflow-name.ts';
import type { Waiting } from '../domain/approval.ts';
import { recordWaiting } from './approvals.ts';
import { requestCancel } from './cancel-and-retry.ts';
import { liveRuns, observeWorkflows, rewindVersions, type Observation, type Observed } from './observe-workflows.ts';
import { recordRun } from './record-run.ts';
import { submitRun } from '../../test/support/runs.ts';
import { database, test } from '../../test/support/ledger-fixture.ts';
import { observation } from '../../test/support/observations.ts';

const ACCEPTED = new Date('2026-11-01T10:00:00Z');
const at = (seconds: number): Date => new Date(ACCEPTED.getTime() + seconds * 1000);

interface Run {
  readonly runId: string;
  readonly deliveryId: string;
  readonly name: string;
}

async function record(fields: Partial<NewRun> = {}): Promise<Run> {
  const deliveryId = randomUUID();
  const receipt = await recordRun(database.db, {
    run: {
      deliveryId,
      family: 'command',
      kind: 'command',
      command: 'plan',
      door: 'http',
      correlationId: deliveryId,
      traceparent: '',
      userId: 'u',
      guildId: '',
      channelId: '',
      acceptedAt: ACCEPTED,
      plan: {
        namespace: 'argo',
        workflowTemplate: 't',
        serviceAccount: '',
        namePrefix: 'plan',
        parameters: {},
        labels: {},
        annotations: {},
      },
      state: 'queued',
      idea: { sourceType: 'test', sourceRef: deliveryId, status: 'received', payload: {} },
      task: { stage: 'plan', metadata: {} },
      runMetadata: {},
      message: { interactionId: 'i', ephemeral: false },
      ...fields,
    },
    claim: true,
  });
  return { runId: receipt.runId, deliveryId, name: receipt.workflowName };
}

/** A run with a workflow in the cluster, with uid `u-<name>`. */
async function submitted(fields: Partial<NewRun> = {}): Promise<Run> {
  const run = await record(fields);
  await submitRun(database.db, run.runId, `u-${run.name}`);
  return run;
}

function seen(run: Run, fields: Partial<Observation> = {}): Observation {
  return observation({ name: run.name, uid: `u-${run.name}`, deliveryLabel: deliveryLabel(run.deliveryId), ...fields });
}

const GATE: Waiting = {
  key: 'k',
  kind: 'suspended',
  nodeId: '',
  node: '',
  template: '',
  startedAt: '',
  onExit: false,
  fields: [],
  rules: {} as Waiting['rules'],
};

const apply = (...batch: Observation[]): Promise<Observed[]> => observeWorkflows(database.db, batch);

async function one<Row = Record<string, unknown>>(text: string, ...values: unknown[]): Promise<Row> {
  const { rows } = await database.db.query<Row>({ text, values });
  return rows[0]!;
}

const runRow = (run: Run) =>
  one('SELECT * FROM facteur.runs LEFT JOIN facteur.open_runs USING (run_id) WHERE run_id = $1', run.runId);

/** Everything stored about a run, to compare with later. */
async function everything(run: Run): Promise<unknown> {
  const { rows } = await database.db.query({
    text: `SELECT to_jsonb(runs) AS run, to_jsonb(open_runs) AS open, to_jsonb(task_runs) AS task_run, to_jsonb(tasks) AS task, to_jsonb(messages) AS message,
        (SELECT jsonb_agg(e ORDER BY e.id) FROM codex_kb.run_events e WHERE e.task_run_id = runs.run_id) AS events,
        (SELECT to_jsonb(m) FROM codex_kb.run_metrics m WHERE m.task_run_id = runs.run_id) AS metrics
      FROM facteur.runs LEFT JOIN facteur.open_runs USING (run_id) JOIN codex_kb.task_runs ON task_runs.id = runs.run_id
      JOIN codex_kb.tasks ON tasks.id = task_runs.task_id LEFT JOIN facteur.messages ON messages.run_id = runs.run_id
      WHERE runs.run_id = $1`,
    values: [run.runId],
  });
  return rows[0];
}

async function history(run: Run): Promise<string[]> {
  const { rows } = await database.db.query<{ from: string | null; to: string }>({
    text: `SELECT payload->>'from' AS from, payload->>'to' AS to FROM codex_kb.run_events
      WHERE task_run_id = $1 AND event_type = 'state.change' ORDER BY id`,
    values: [run.runId],
  });
  return rows.map(({ from, to }) => `${from ?? ''}>${to}`);
}

describe('a workflow from start to end', () => {
  test('moves the run, its task, its history, its metrics and its message', async () => {
    const run = await submitted();
    await database.db.query({
      text: 'UPDATE facteur.messages SET due_at = NULL WHERE run_id = $1',
      values: [run.runId],
    });
    const revision = (await runRow(run))['revision'] as number;

    expect(await apply(seen(run, { version: 10n, progress: '0/3', startedAt: at(4) }))).toMatchObject([
      { runId: run.runId, from: 'submitted', to: 'running', effect: 'moved' },
    ]);
    expect(await runRow(run)).toMatchObject({
      state: 'running',
      progress: '0/3',
      started_at: at(4),
      revision: revision + 1,
    });
    expect((await one('SELECT due_at FROM facteur.messages WHERE run_id = $1', run.runId))['due_at']).not.toBeNull();

    expect(await apply(seen(run, { version: 11n, progress: '1/3', startedAt: at(4) }))).toMatchObject([
      { effect: 'updated' },
    ]);
    expect(await runRow(run)).toMatchObject({ progress: '1/3', revision: revision + 2 });

    const end = { startedAt: at(4), finishedAt: at(64.5), reason: 'build: exit code 1', resources: { cpu: 7 } };
    await apply(seen(run, { version: 12n, state: 'failed', progress: '1/3', ...end }));
    expect(await everything(run)).toMatchObject({
      run: { state: 'failed', previous_state: 'running', revision: revision + 3, reason: 'build: exit code 1' },
      task_run: { status: 'failed', external_run_id: run.name, retry_count: 0, error_code: 'failed' },
      task: { state: 'failed' },
      metrics: {
        queue_latency_ms: 4000,
        runtime_ms: 60_500,
        retry_latency_ms: null,
        resource_usage: { cpu: 7 },
      },
    });
    const { started_at, completed_at } = await one('SELECT * FROM codex_kb.task_runs WHERE id = $1', run.runId);
    expect([started_at, completed_at]).toEqual([at(4), at(64.5)]);
    expect(await history(run)).toEqual(['>queued', 'queued>submitted', 'submitted>running', 'running>failed']);
    const last = await one(
      'SELECT payload, actor FROM codex_kb.run_events WHERE task_run_id = $1 ORDER BY id DESC LIMIT 1',
      run.runId,
    );
    expect(last).toEqual({
      payload: { from: 'running', to: 'failed', reason: 'build: exit code 1' },
      actor: 'facteur',
    });
  });

  test('a success has no reason and no error code; a missing end time is now', async () => {
    const run = await submitted();
    await apply(seen(run, { state: 'succeeded', progress: '3/3' }));
    expect(await everything(run)).toMatchObject({
      run: { state: 'succeeded', reason: '', started_at: null },
      task_run: { error_code: null },
      metrics: { queue_latency_ms: null, runtime_ms: null },
    });
    expect((await runRow(run))['finished_at']).not.toBeNull();
  });

  test('the actor of a cancellation is the requester of the cancel', async () => {
    const run = await submitted();
    await database.db.query({
      text: `UPDATE facteur.runs SET cancel_requested_by = 'discord:7' WHERE run_id = $1`,
      values: [run.runId],
    });
    await apply(seen(run, { state: 'canceled', reason: 'Stopped' }));
    const last = await one(
      'SELECT actor FROM codex_kb.run_events WHERE task_run_id = $1 ORDER BY id DESC LIMIT 1',
      run.runId,
    );
    expect(last['actor']).toBe('discord:7');
  });

  test('clock skew gives no negative latency', async () => {
    const run = await submitted();
    await apply(seen(run, { state: 'succeeded', startedAt: at(-2), finishedAt: at(-3) }));
    expect(await everything(run)).toMatchObject({ metrics: { queue_latency_ms: 0, runtime_ms: 0 } });
  });
});

describe('old, repeated and foreign observations', () => {
  test('the same batch again changes nothing', async () => {
    const runs = [await submitted(), await submitted(), await record()];
    const batch = [
      seen(runs[0]!, { version: 5n, progress: '1/2', startedAt: at(1) }),
      seen(runs[1]!, { version: 6n, state: 'failed', reason: 'x', startedAt: at(1), finishedAt: at(2) }),
      seen(runs[2]!, { version: 7n, state: 'succeeded', startedAt: at(1), finishedAt: at(2) }),
    ];
    expect(await apply(...batch)).toHaveLength(3);
    const before = await Promise.all(runs.map(everything));
    expect(await apply(...batch)).toEqual([]);
    expect(await apply(...batch.map((each) => ({ ...each, version: undefined })))).toEqual([]);
    expect(await Promise.all(runs.map(everything))).toEqual(before);
  });

  test('an older version changes nothing, also after a retry', async () => {
    const run = await submitted();
    const failed = seen(run, { version: 10n, state: 'failed', reason: 'x' });
    await apply(failed);
    await apply(seen(run, { version: 20n, state: 'running', progress: '2/3', confirmed: true }));
    expect(await apply(failed)).toEqual([]);
    expect(await apply(seen(run, { version: 19n, progress: '1/3' }))).toEqual([]);
    expect(await runRow(run)).toMatchObject({ state: 'running', progress: '2/3', retry_count: 1 });
  });

  test('after a rewind, versions older than the listed one change nothing', async () => {
    const [live, ended, meanwhile] = [await submitted(), await submitted(), await submitted()];
    await apply(seen(live, { version: 50n, progress: '5/9' }), seen(ended, { version: 50n, state: 'failed' }));
    await recordWaiting(database.db, [{ ...seen(live, { version: 60n }), waiting: [GATE] }]);
    await apply(seen(meanwhile, { version: 70n, progress: '7/9' }));
    const recorded = (await liveRuns(database.db, { unchangedForMs: 0 })).map(({ runId, version }) => [runId, version]);
    expect(Object.fromEntries(recorded)).toEqual({ [live.runId]: '60', [meanwhile.runId]: '70' });

    const back = [live, ended, meanwhile].map(({ runId }) => ({ runId, recorded: '60', listed: '40' }));
    await rewindVersions(database.db, back);
    for (const run of [live, ended, meanwhile]) {
      expect(await apply(seen(run, { version: 39n, progress: '3/9', confirmed: true }))).toEqual([]);
    }
    expect(await apply(seen(ended, { version: 40n, confirmed: true }))).toEqual([]);
    expect(await apply(seen(meanwhile, { version: 40n }))).toEqual([]);
    expect(await recordWaiting(database.db, [{ ...seen(live, { version: 39n }), waiting: [] }])).toEqual([]);
    expect(await recordWaiting(database.db, [{ ...seen(live, { version: 40n }), waiting: [] }])).toHaveLength(1);
    await apply(seen(live, { version: 40n, state: 'succeeded' }));
    expect(await runRow(live)).toMatchObject({ state: 'succeeded' });
  });

  test('a stop or a deletion after the end of a workflow changes nothing', async () => {
    const run = await submitted();
    const failed = seen(run, { state: 'failed', startedAt: at(1), finishedAt: at(9), confirmed: true });
    await apply(failed);
    expect(await apply({ ...failed, state: 'canceled' })).toEqual([]);
    expect(await apply({ ...failed, state: 'lost', startedAt: undefined })).toEqual([]);
    expect(await runRow(run)).toMatchObject({ state: 'failed', retry_count: 0 });
  });

  test('another workflow of the same name and a copy under another name change nothing', async () => {
    const run = await submitted();
    expect(await apply(seen(run, { uid: 'other', state: 'failed' }))).toEqual([]);
    expect(await apply(seen(run, { name: `${run.name}-copy`, state: 'failed' }))).toEqual([]);
    expect(await apply(seen(run, { namespace: 'elsewhere', state: 'failed' }))).toEqual([]);
    expect(await runRow(run)).toMatchObject({ state: 'submitted' });
  });

  test('an empty batch changes nothing', async () => {
    expect(await apply()).toEqual([]);
  });

  test('a workflow without the delivery’s label changes nothing', async () => {
    const run = await record();
    expect(await apply(seen(run, { deliveryLabel: '' }), seen(run, { uid: 'x', deliveryLabel: 'y' }))).toEqual([]);
    expect(await runRow(run)).toMatchObject({ state: 'queued', workflow_uid: null });
  });

  test('a canceled run stays due for the submitter until it has ended', async () => {
    const run = await record();
    await requestCancel(database.db, run.runId, 'discord:7');
    await apply(seen(run, { version: 1n, state: 'submitted' }));
    expect(await runRow(run)).toMatchObject({ state: 'submitted', due_at: expect.any(Date), claimed_until: null });
    await apply(seen(run, { version: 2n, state: 'running' }));
    expect(await runRow(run)).toMatchObject({ state: 'running', due_at: expect.any(Date) });
    await apply(seen(run, { version: 3n, state: 'canceled' }));
    expect(await runRow(run)).toMatchObject({ state: 'canceled', due_at: null, cancel_requested_by: 'discord:7' });
    await apply(seen(run, { version: 4n, state: 'running', confirmed: true }));
    expect(await runRow(run)).toMatchObject({ state: 'running', due_at: null, cancel_requested_by: null });
  });

  test('a submitted run of unknown uid gets the observed uid', async () => {
    const run = await record();
    await submitRun(database.db, run.runId, '');
    await apply(seen(run, { state: 'submitted', version: 3n }));
    expect(await runRow(run)).toMatchObject({ state: 'submitted', workflow_uid: `u-${run.name}` });
  });
});

describe('observations that need confirmation', () => {
  test('a vanished workflow', async () => {
    const run = await submitted();
    const gone = seen(run, { state: 'lost', reason: 'gone' });
    expect(await apply(gone)).toMatchObject([{ runId: run.runId, effect: 'unconfirmed' }]);
    expect(await runRow(run)).toMatchObject({ state: 'submitted' });
    await apply({ ...gone, confirmed: true });
    expect(await everything(run)).toMatchObject({
      run: { state: 'lost', reason: 'gone' },
      task_run: { error_code: 'lost' },
    });
  });

  test('a vanished workflow of a run of unknown uid, once confirmed, makes it lost', async () => {
    const run = await record();
    await submitRun(database.db, run.runId, '');
    await apply(seen(run, { uid: '', state: 'lost', confirmed: true }));
    expect(await runRow(run)).toMatchObject({ state: 'lost', workflow_uid: null });
  });

  test('a retry by Argo: the run is live again and can end a second time', async () => {
    const run = await submitted();
    await apply(seen(run, { version: 5n, state: 'failed', reason: 'x', startedAt: at(1), finishedAt: at(10) }));
    const alive = seen(run, { version: 6n, progress: '0/3', startedAt: at(40) });
    expect(await apply(alive)).toMatchObject([{ effect: 'unconfirmed' }]);
    expect(await runRow(run)).toMatchObject({ state: 'failed', retry_count: 0 });

    await apply({ ...alive, confirmed: true });
    expect(await everything(run)).toMatchObject({
      run: { state: 'running', retry_count: 1, reason: '', finished_at: null, progress: '0/3' },
      task_run: { status: 'running', retry_count: 1, completed_at: null, error_code: null },
      task: { state: 'running' },
      metrics: { runtime_ms: 9000, retry_latency_ms: 30_000 },
    });
    await apply(seen(run, { version: 7n, state: 'succeeded', startedAt: at(40), finishedAt: at(45) }));
    expect(await everything(run)).toMatchObject({
      metrics: { queue_latency_ms: 1000, runtime_ms: 5000, retry_latency_ms: 30_000 },
    });
    expect((await history(run)).slice(2)).toEqual(['submitted>failed', 'failed>running', 'running>succeeded']);
  });
});

test('a task shows the state of its newest run only', async () => {
  const idea = { sourceType: 'test', sourceRef: randomUUID(), status: 'received', payload: {} };
  const older = await submitted({ idea });
  const newer = await submitted({ idea });
  await apply(seen(older, { state: 'failed' }), seen(newer, { state: 'running' }));
  expect(await everything(older)).toMatchObject({ task_run: { status: 'failed' }, task: { state: 'running' } });
  await apply(seen(newer, { state: 'succeeded' }));
  expect(await everything(newer)).toMatchObject({ task: { state: 'succeeded' } });
});

test('a run with archived rows still moves', async () => {
  const run = await submitted();
  await database.db.query({ text: 'DELETE FROM codex_kb.task_runs WHERE id = $1', values: [run.runId] });
  expect(await apply(seen(run, { state: 'succeeded' }))).toHaveLength(1);
  expect(await runRow(run)).toMatchObject({ state: 'succeeded' });
});

describe('any observations in any order', () => {
  let run: Run;
  beforeEach(async () => {
    run = await record();
  });

  const STATES = ['submitted', 'running', 'succeeded', 'failed', 'error', 'canceled', 'lost'] as const;
  const anySeen = fc.record({
    state: fc.constantFrom(...STATES),
    version: fc.option(fc.bigInt({ min: 1n, max: 12n }), { nil: undefined }),
    progress: fc.constantFrom('', '0/2', '1/2'),
    confirmed: fc.boolean(),
  });

  test('give a history of valid moves that ends in the run’s state', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(anySeen, { maxLength: 1 }), { maxLength: 8 }), async (batches) => {
        run = await record();
        for (const batch of batches) {
          await apply(...batch.map((fields) => seen(run, fields)));
        }
        const moves = await history(run);
        let state: RunState = 'queued';
        for (const move of moves.slice(1)) {
          const [from, to] = move.split('>') as [RunState, RunState];
          expect(from).toBe(state);
          expect(RUN_MOVES[from]).toContain(to);
          state = to;
        }
        const row = await runRow(run);
        expect(row['state']).toBe(state);
        expect(row['retry_count']).toBe(
          moves.filter((move) => /^(succeeded|failed|error|canceled)>running$/.test(move)).length,
        );
        expect(row['finished_at'] !== null).toBe(isFinished(state));
      }),
      { numRuns: 60 },
    );
  });
});
