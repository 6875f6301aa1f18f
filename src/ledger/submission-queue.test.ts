import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { emptyLedger, runOf, timePasses } from '../../test/support/ledger.ts';
import { forceState, newRun } from '../../test/support/runs.ts';
import type { Database } from '../clients/postgres/database.ts';
import { recordRun } from './record-run.ts';
import { requestCancel } from './request-cancel.ts';
import { claimDueRuns, postponeRun, renameRun, settleRun } from './submission-queue.ts';

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ db } = database);
});
afterAll(() => database.close());
beforeEach(() => emptyLedger(db));

const record = async (deliveryId: string): Promise<string> =>
  (await recordRun(db, { run: newRun({ deliveryId }), claim: false })).runId;
const claim = async (limit = 10, maxActive?: number): Promise<string[]> =>
  (await claimDueRuns(db, { limit, maxActive })).runs.map(({ deliveryId }) => deliveryId).toSorted();

describe('claiming', () => {
  test('takes what is due in order of arrival, and each run once', async () => {
    for (const id of ['a', 'b', 'c']) {
      await record(id);
    }
    expect(await claim(2)).toEqual(['a', 'b']);
    expect(await claim(2)).toEqual(['c']);
    expect(await claim(2)).toEqual([]);
  });

  test('gives everything that creating the workflow takes', async () => {
    const run = newRun({ deliveryId: 'a', traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` });
    const { runId, workflowName } = await recordRun(db, { run, claim: false });
    const { runs } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
    expect(runs).toEqual([
      {
        runId,
        deliveryId: 'a',
        workflowName,
        traceparent: run.traceparent,
        acceptedAt: run.acceptedAt,
        attempts: 1,
        plan: run.plan,
        state: 'queued',
        workflowUid: '',
        cancelRequestedBy: '',
      },
    ]);
  });

  test('says when to look again: when the next one is due, here or by the end of another claim', async () => {
    const limits = { limit: 5, maxActive: undefined };
    expect(await claimDueRuns(db, limits)).toEqual({ runs: [], nextInMs: undefined });
    await recordRun(db, { run: newRun(), claim: true });
    const { nextInMs } = await claimDueRuns(db, limits);
    expect(nextInMs).toBeGreaterThan(13_000);
    expect(nextInMs).toBeLessThanOrEqual(15_000);
  });

  test('waiting for room is no reason to look again soon', async () => {
    await record('a');
    await record('b');
    await record('c');
    const limits = { limit: 5, maxActive: 1 };
    expect((await claimDueRuns(db, limits)).runs).toHaveLength(1);
    expect((await claimDueRuns(db, limits)).nextInMs).toBeGreaterThan(10_000);
  });

  test('a claim that ran out is taken again, as another attempt', async () => {
    await recordRun(db, { run: newRun({ deliveryId: 'a' }), claim: true });
    expect(await claim()).toEqual([]);
    await timePasses(db);
    const {
      runs: [again],
    } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
    expect(again?.attempts).toBe(2);
  });

  test('what is to be ended comes first and needs no room', async () => {
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

  test('a run that was tried keeps its place, and gets its turn before those that were not', async () => {
    await record('tried');
    const {
      runs: [tried],
    } = await claimDueRuns(db, { limit: 1, maxActive: 1 });
    for (const id of ['a', 'b']) {
      await record(id);
    }
    await postponeRun(db, tried!, 60_000, 'no answer');
    expect(await claim(10, 1)).toEqual([]);
    expect(await claim(10, 2)).toEqual(['a']);
    await timePasses(db);
    expect(await claim(10, 2)).toEqual(['a', 'tried']);
  });

  test('after ten tries a run counts no more: its workflow would have been seen', async () => {
    await record('poison');
    await db.query({ text: `UPDATE facteur.runs SET attempts = 11, due_at = now() + interval '1 minute'` });
    await record('a');
    expect(await claim(10, 1)).toEqual(['a']);
  });
});

describe('putting back', () => {
  test('a run is due when its wait is over, to the millisecond, with the reason', async () => {
    await record('a');
    const {
      runs: [run],
    } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
    await postponeRun(db, run!, 1234.5, 'no answer');
    const { rows } = await db.query({
      text: `SELECT reason, claimed_until, state, extract(epoch FROM due_at - updated_at)::float8 AS wait FROM facteur.runs`,
    });
    expect(rows).toEqual([{ reason: 'no answer', claimed_until: null, state: 'queued', wait: 1.2345 }]);
  });

  test('one whose end was asked for meanwhile is due at once', async () => {
    const runId = await record('a');
    const {
      runs: [run],
    } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
    await requestCancel(db, runId, 'ada');
    expect(await claim()).toEqual([]);
    await postponeRun(db, run!, 60_000, 'no answer');
    expect(await claim()).toEqual(['a']);
  });

  test('one that could not be ended waits like any other', async () => {
    const runId = await record('a');
    await requestCancel(db, runId, 'ada');
    const {
      runs: [run],
    } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
    await postponeRun(db, run!, 60_000, 'no answer');
    expect(await claim()).toEqual([]);
  });

  test('one that somebody else has brought further stays where it is', async () => {
    const runId = await record('a');
    const {
      runs: [run],
    } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
    await forceState(db, runId, 'submitted');
    const before = await runOf(db, 'a');
    await postponeRun(db, run!, 0, 'no answer');
    expect(await runOf(db, 'a')).toEqual(before);
  });
});

test('a queued run is never settled: it would be forgotten', async () => {
  const runId = await record('a');
  await settleRun(db, runId);
  expect(await claim()).toEqual(['a']);
});

test('a run is renamed once, by whoever knows its name', async () => {
  const { runId, workflowName } = await recordRun(db, { run: newRun({ deliveryId: 'a' }), claim: true });
  expect(await renameRun(db, runId, workflowName, 'plan-2')).toBe(true);
  expect(await renameRun(db, runId, workflowName, 'plan-3')).toBe(false);
  await forceState(db, runId, 'submitted');
  expect(await renameRun(db, runId, 'plan-2', 'plan-3')).toBe(false);
  expect(await runOf(db, 'a')).toMatchObject({ workflow_name: 'plan-2' });
});
