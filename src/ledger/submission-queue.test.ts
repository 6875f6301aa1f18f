import { describe, expect } from 'vitest';
import { runOf, timePasses } from '../../test/support/ledger.ts';
import { forceState, newRun, observeRun, submitRun } from '../../test/support/runs.ts';
import { requestCancel, withdrawRun } from './cancel-and-retry.ts';
import { moveRun } from './move-run.ts';
import { liveRuns, rewindVersions } from './observe-workflows.ts';
import { recordRun } from './record-run.ts';
import { archiveRuns } from './retention.ts';
import { claimDueRuns, postponeRun, renameRun, renewClaim, settleRun, type ClaimedRun } from './submission-queue.ts';
import { db, ownConnection, rowsRead, test } from '../../test/support/ledger-fixture.ts';

const record = async (deliveryId: string): Promise<string> =>
  (await recordRun(db, { run: newRun({ deliveryId }), claim: false })).runId;
const claimOne = async (): Promise<ClaimedRun> => {
  const { runs } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
  return runs[0]!;
};
const claim = async (limit = 10, maxActive?: number): Promise<string[]> =>
  (await claimDueRuns(db, { limit, maxActive })).runs.map(({ deliveryId }) => deliveryId).toSorted();

/** The duration of a test must not matter. */
async function prolongClaims(): Promise<void> {
  const text = `UPDATE facteur.open_runs SET due_at = now() + interval '1 day', claimed_until = now() + interval '1 day'
    WHERE claimed_until IS NOT NULL`;
  await db.query({ text });
}

function expectInADay(ms: number | undefined): void {
  expect((ms ?? 0) / 3_600_000).toBeGreaterThan(23);
  expect((ms ?? 0) / 3_600_000).toBeLessThanOrEqual(24);
}

describe('claiming', () => {
  test('takes due runs in order of arrival, and each run once', async () => {
    for (const id of ['a', 'b', 'c']) {
      await record(id);
    }
    expect(await claim(2)).toEqual(['a', 'b']);
    expect(await claim(2)).toEqual(['c']);
    expect(await claim(2)).toEqual([]);
  });

  test('returns everything needed to create the workflow', async () => {
    const run = newRun({ deliveryId: 'a', traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` });
    const { runId, workflowName } = await recordRun(db, { run, claim: false });
    const { runs } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
    expect(runs).toEqual([
      {
        runId,
        fence: 1,
        deliveryId: 'a',
        workflowName,
        traceparent: run.traceparent,
        acceptedAt: run.acceptedAt,
        attempts: 1,
        refusedForMs: 0,
        takenOver: false,
        plan: run.plan,
        state: 'queued',
        workflowUid: '',
        cancelRequestedBy: '',
      },
    ]);
  });

  test('returns when to look again: when the next run is due or another claim ends', async () => {
    const limits = { limit: 5, maxActive: undefined };
    expect(await claimDueRuns(db, limits)).toEqual({ runs: [], nextInMs: undefined });
    await recordRun(db, { run: newRun(), claim: true });
    const text = `SELECT extract(epoch FROM due_at - created_at)::int AS seconds
      FROM facteur.open_runs JOIN codex_kb.task_runs ON id = run_id`;
    expect((await db.query({ text })).rows).toEqual([{ seconds: 15 }]);
    await prolongClaims();
    expectInADay((await claimDueRuns(db, limits)).nextInMs);
  });

  test('runs that wait for room are no reason to look again soon', async () => {
    await record('a');
    await record('b');
    await record('c');
    const limits = { limit: 5, maxActive: 1 };
    expect((await claimDueRuns(db, limits)).runs).toHaveLength(1);
    await prolongClaims();
    expectInADay((await claimDueRuns(db, limits)).nextInMs);
  });

  test('takes a run with an expired claim again, as another attempt', async () => {
    await recordRun(db, { run: newRun({ deliveryId: 'a' }), claim: true });
    expect(await claim()).toEqual([]);
    await timePasses(db);
    const {
      runs: [again],
    } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
    expect(again?.attempts).toBe(2);
  });

  test('takes canceled runs first, and they need no room', async () => {
    const live = await record('live');
    await forceState(db, live, 'running');
    await record('waiting');
    await requestCancel(db, live, 'ada');
    expect(await claim(10, 1)).toEqual(['live']);
    expect(await claim(10, 2)).toEqual(['waiting']);
  });
});

describe('room', () => {
  test.each([
    [0, 2, ['a', 'b']],
    [1, 2, ['a']],
    [2, 2, []],
    [3, 2, []],
  ])('with %i live of %i', async (live, maxActive, expected) => {
    for (let index = 0; index < live; index += 1) {
      await forceState(db, await record(`live-${index}`), index % 2 === 0 ? 'submitted' : 'running');
    }
    for (const id of ['a', 'b', 'c']) {
      await record(id);
    }
    expect(await claim(10, maxActive)).toEqual(expected);
  });

  test('a run with an attempt keeps its place, and comes before those without', async () => {
    await record('tried');
    const {
      runs: [tried],
    } = await claimDueRuns(db, { limit: 1, maxActive: 1 });
    for (const id of ['a', 'b']) {
      await record(id);
    }
    await postponeRun(db, tried!, { delayMs: 60_000, reason: 'no answer', refused: false });
    expect(await claim(10, 1)).toEqual([]);
    expect(await claim(10, 2)).toEqual(['a']);
    await timePasses(db);
    expect(await claim(10, 2)).toEqual(['a', 'tried']);
  });

  test('a canceled run keeps its place while its first attempt may create a workflow', async () => {
    const { runId } = await recordRun(db, { run: newRun(), claim: true });
    await requestCancel(db, runId, 'ada');
    await record('a');
    expect(await claim(10, 1)).toEqual([]);
    expect(await claim(10, 2)).toEqual(['a']);
  });

  test('after ten attempts a run takes no room: its workflow would have been seen', async () => {
    await record('poison');
    for (let attempt = 1; attempt <= 11; attempt += 1) {
      await claimOne();
      await timePasses(db);
    }
    await db.query({ text: `UPDATE facteur.open_runs SET due_at = now() + interval '1 minute'` });
    await record('a');
    expect(await claim(10, 1)).toEqual(['a']);
  });
});

test('a run past its tenth attempt takes room while an attempt is in progress', async () => {
  for (const id of ['a', 'b', 'c']) {
    await record(id);
  }
  await db.query({ text: 'UPDATE facteur.runs SET attempts = 12' });
  expect(await claim(10, 2)).toEqual(['a', 'b']);
  expect(await claim(10, 2)).toEqual([]);
});

test('an ended run that two followers left open does not take room forever', async () => {
  const ended = await record('a');
  await forceState(db, ended, 'succeeded');
  await db.query({
    text: `INSERT INTO facteur.open_runs (run_id, line, in_cluster) VALUES ($1, 'create', true)
      ON CONFLICT (run_id) DO UPDATE SET in_cluster = true, due_at = NULL`,
    values: [ended],
  });
  await record('b');
  expect(await claim(10, 1)).toEqual([]);
  expect(await liveRuns(db, { unchangedForMs: 0 })).toEqual([]);
  expect(await claim(10, 1)).toEqual(['b']);
});

test('an archived run that Argo has retried can be stopped', async () => {
  const runId = await record('a');
  await claimOne();
  await submitRun(db, runId, 'u1');
  await observeRun(db, runId, { uid: 'u1', state: 'failed', version: 5n });
  await db.query({ text: `UPDATE facteur.runs SET accepted_at = '2026-01-01', updated_at = '2026-01-01'` });
  await archiveRuns(db, { olderThanSeconds: 86_400, limit: 10 });
  await observeRun(db, runId, { uid: 'u1', state: 'running', version: 9n, confirmed: true });
  expect(await requestCancel(db, runId, 'ada')).toMatchObject({ state: 'running' });
  expect(await claimOne()).toMatchObject({ runId, plan: { namespace: newRun().plan.namespace, parameters: {} } });
});

test('the rows that admission reads do not grow with the queue', async () => {
  const fill = newRun();
  await record('tried');
  const tried = await claimOne();
  await postponeRun(db, tried, { delayMs: 60_000, reason: 'no answer', refused: false });
  await db.query({
    text: `WITH made AS (
        INSERT INTO facteur.runs (run_id, delivery_id, delivery_key, kind, command, door, state, namespace, workflow_name, plan,
          correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at)
        SELECT gen_random_uuid(), 'w' || n, 'command:w' || n, 'command', 'plan', 'http', 'queued', 'argo', 'w' || n, $1, '', '', '', '', '',
          now() FROM generate_series(1, 5000) n RETURNING run_id
      )
      INSERT INTO facteur.open_runs (run_id, line, in_cluster, due_at) SELECT run_id, 'create', false, now() FROM made`,
    values: [JSON.stringify(fill.plan)],
  });
  await db.session((session) => session.query({ text: 'VACUUM ANALYZE' }));
  const { db: counted, close } = await ownConnection();
  const before = await rowsRead(counted);
  expect((await claimDueRuns(counted, { limit: 10, maxActive: 1 })).runs).toHaveLength(0);
  expect((await claimDueRuns(counted, { limit: 10, maxActive: 4 })).runs).toHaveLength(3);
  expect((await rowsRead(counted)) - before).toBeLessThan(100);
  await close();
});

describe('postponing and settling', () => {
  test('a postponed run is due after its exact delay, with the reason', async () => {
    await record('a');
    await postponeRun(db, await claimOne(), { delayMs: 1234.5, reason: 'no answer', refused: false });
    const { rows } = await db.query({
      text: `SELECT reason, claimed_until, state, extract(epoch FROM due_at - updated_at)::float8 AS wait
        FROM facteur.runs JOIN facteur.open_runs USING (run_id)`,
    });
    expect(rows).toEqual([{ reason: 'no answer', claimed_until: null, state: 'queued', wait: 1.2345 }]);
  });

  test('measures how long the cluster has only refused the run', async () => {
    await record('a');
    const claimAgain = async () => {
      await timePasses(db);
      const { runs } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
      return runs[0]!;
    };
    const refuse = async (refused: boolean) =>
      postponeRun(db, await claimAgain(), { delayMs: 0, reason: 'no', refused });
    await refuse(true);
    await db.query({ text: `UPDATE facteur.runs SET refused_since = refused_since - interval '20 seconds'` });
    await refuse(true);
    expect((await claimAgain()).refusedForMs).toBeGreaterThanOrEqual(20_000);
    await refuse(false);
    expect((await claimAgain()).refusedForMs).toBe(0);
  });

  test('a run canceled meanwhile is due at once', async () => {
    const runId = await record('a');
    const {
      runs: [run],
    } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
    await requestCancel(db, runId, 'ada');
    expect(await claim()).toEqual([]);
    await postponeRun(db, run!, { delayMs: 60_000, reason: 'no answer', refused: false });
    expect(await claim()).toEqual(['a']);
  });

  test('a canceled run that could not be stopped waits like any other', async () => {
    const runId = await record('a');
    await requestCancel(db, runId, 'ada');
    await postponeRun(db, await claimOne(), { delayMs: 60_000, reason: 'no answer', refused: false });
    expect(await claim()).toEqual([]);
  });

  test('a live run has a reason only while it cannot be stopped', async () => {
    const runId = await record('a');
    const create = await claimOne();
    await submitRun(db, runId);
    await requestCancel(db, runId, 'ada');
    await postponeRun(db, create, { delayMs: 0, reason: 'not created', refused: false });
    expect(await runOf(db, 'a')).toMatchObject({ reason: '' });
    const stop = await claimOne();
    await postponeRun(db, stop, { delayMs: 0, reason: 'not stopped', refused: false });
    const waits = await runOf(db, 'a');
    expect(waits).toMatchObject({ reason: 'not stopped' });
    await settleRun(db, await claimOne());
    expect(await runOf(db, 'a')).toMatchObject({ reason: '', revision: waits.revision + 1, due_at: null });
  });

  test('a run that another process has submitted is not postponed', async () => {
    const runId = await record('a');
    const {
      runs: [run],
    } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
    await forceState(db, runId, 'submitted');
    const before = await runOf(db, 'a');
    await postponeRun(db, run!, { delayMs: 0, reason: 'no answer', refused: false });
    expect(await runOf(db, 'a')).toEqual(before);
  });
});

test('a queued run is never settled: it would be lost', async () => {
  await record('a');
  await settleRun(db, await claimOne());
  await timePasses(db);
  expect(await claim()).toEqual(['a']);
});

test('a rewind stops the workflow of a canceled run again, and leaves other runs alone', async () => {
  const [runId, other] = [await record('a'), await record('b')];
  await submitRun(db, runId);
  await submitRun(db, other);
  await requestCancel(db, runId, 'ada');
  await settleRun(db, await claimOne());
  expect(await claim()).toEqual([]);
  await rewindVersions(
    db,
    [runId, other].map((each) => ({ runId: each, recorded: '20', listed: '9' })),
  );
  expect(await claim()).toEqual(['a']);
});

test.each<[string, (run: ClaimedRun) => Promise<boolean>]>([
  ['directly', (run) => renewClaim(db, run)],
  ['by renaming the run', (run) => renameRun(db, run, 'plan-2')],
])('the holder of a claim can renew it %s', async (_how, renew) => {
  await record('a');
  const run = await claimOne();
  await db.query({ text: `UPDATE facteur.open_runs SET claimed_until = now() + interval '1 second'` });
  expect(await renew(run)).toBe(true);
  const { rows } = await db.query({
    text: `SELECT extract(epoch FROM claimed_until - now())::int > 10 AS renewed, due_at = claimed_until AS hidden FROM facteur.open_runs`,
  });
  expect(rows).toEqual([{ renewed: true, hidden: true }]);
});

test('a run can be renamed, and its claim renewed, until it is submitted', async () => {
  const runId = await record('a');
  const run = await claimOne();
  expect(await renameRun(db, run, 'plan-2')).toBe(true);
  await forceState(db, runId, 'submitted');
  expect(await renameRun(db, run, 'plan-3')).toBe(false);
  expect(await renewClaim(db, run)).toBe(false);
  expect(await runOf(db, 'a')).toMatchObject({ workflow_name: 'plan-2' });
});

describe('a lost claim has no effect', () => {
  const late = async () => {
    await record('a');
    const run = await claimOne();
    await timePasses(db);
    await claimOne();
    return { run, before: await runOf(db, 'a') };
  };

  test.each<[string, (run: ClaimedRun) => Promise<unknown>, unknown]>([
    ['postponing', (run) => postponeRun(db, run, { delayMs: 0, reason: 'no answer', refused: false }), undefined],
    ['renaming', (run) => renameRun(db, run, 'plan-2'), false],
    ['renewing', (run) => renewClaim(db, run), false],
    ['refusing', async (run) => (await moveRun(db, { ...run, to: 'refused', reason: 'late' })).moved, false],
    ['canceling', async (run) => (await moveRun(db, { ...run, to: 'canceled', reason: 'late' })).moved, false],
  ])('%s', async (_what, act, expected) => {
    const { run, before } = await late();
    expect(await act(run)).toBe(expected);
    expect(await runOf(db, 'a')).toEqual(before);
  });

  test('but a workflow that it created belongs to the run', async () => {
    const { run } = await late();
    expect(await submitRun(db, run.runId)).toMatchObject({ effect: 'moved', to: 'submitted' });
  });

  test('nor has a workflow with a former name of the run', async () => {
    const { run } = await late();
    expect(await observeRun(db, run.runId, { name: 'plan-0' })).toBeUndefined();
  });

  test('settling', async () => {
    const { run } = await late();
    await forceState(db, run.runId, 'running');
    await requestCancel(db, run.runId, 'ada');
    const before = await runOf(db, 'a');
    await settleRun(db, run);
    expect(await runOf(db, 'a')).toEqual(before);
  });
});

describe('withdrawing', () => {
  const withdraw = async (recording: { acceptedAt: Date }, claimed: boolean) =>
    withdrawRun(db, { deliveryId: 'a', family: 'command', acceptedAt: recording.acceptedAt, claimed }, 'facteur');

  test.each([true, false])('an unclaimed run is due at once (recorded as claimed: %s)', async (claimed) => {
    const receipt = await recordRun(db, { run: newRun({ deliveryId: 'a' }), claim: claimed });
    expect(await withdraw(receipt, claimed)).toBe(receipt.runId);
    expect(await claimOne()).toMatchObject({ cancelRequestedBy: 'facteur' });
    expect(await runOf(db, 'a')).toMatchObject({ withdrawn: true });
  });

  test.each([true, false])('another process keeps its claim (recorded as claimed: %s)', async (claimed) => {
    const receipt = await recordRun(db, { run: newRun({ deliveryId: 'a' }), claim: claimed });
    await timePasses(db);
    const run = await claimOne();
    expect(await withdraw(receipt, claimed)).toBe(receipt.runId);
    expect(await claim()).toEqual([]);
    expect(await postponeRun(db, run, { delayMs: 60_000, reason: 'no answer', refused: false })).toEqual({
      messageChanged: false,
      dueNow: true,
    });
    expect(await claim()).toEqual(['a']);
  });
});
