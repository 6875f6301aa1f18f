import { context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { expect, onTestFinished, vi } from 'vitest';
import { faultyDatabase, unavailable } from '../../test/support/faulty-database.ts';
import { countRuns } from '../../test/support/ledger.ts';
import { newRun } from '../../test/support/runs.ts';
import { TurnableTimer } from '../../test/support/turnable-timer.ts';
import type { NewRun } from '../domain/run.ts';
import { prepareRun } from './record-run.ts';
import { createRunRecorder, type RecorderLimits } from './run-recorder.ts';
import { database, test } from '../../test/support/ledger-fixture.ts';

const USUAL: RecorderLimits = {
  statements: 1,
  patienceMs: 50,
  runs: 64,
  characters: 100_000,
  waitMs: 5000,
  waiting: 1000,
  waitingCharacters: 10_000_000,
};

/** One statement at a time: the second run and all after it have to wait. */
function setUp(limits: Partial<RecorderLimits> = {}) {
  const timer = new TurnableTimer();
  const db = faultyDatabase(database.db);
  const statements: string[] = [];
  db.faults.before = (name) => void statements.push(name);
  const recorder = createRunRecorder(db, timer, { ...USUAL, ...limits });
  return { db, recorder, statements, timer };
}

function sizeOf(run: NewRun): number {
  return prepareRun({ run, claim: true }).json.length;
}

const ideaOf = (sourceRef: string) => ({
  sourceType: 'github_issue',
  sourceRef,
  status: 'received',
  payload: { of: sourceRef },
});

async function count(table: string): Promise<unknown> {
  const { rows } = await database.db.query({ text: `SELECT count(*)::int AS count FROM ${table}` });
  return rows[0]?.['count'];
}

test('waiting runs share statements, and each gets its own receipt', async () => {
  const { recorder, statements } = setUp({ runs: 50 });
  const runs = Array.from({ length: 101 }, (_, index) =>
    newRun({
      deliveryId: `d${index}`,
      plan: { ...newRun().plan, namePrefix: `p${index}` },
      ...(index % 2 === 0 ? { message: { interactionId: `i${index}`, ephemeral: false } } : {}),
    }),
  );
  const receipts = await Promise.all(runs.map((run, index) => recorder.record(run, index % 3 === 0)));
  expect(statements).toHaveLength(3);
  for (const [index, { deliveryId, workflowName, correlationId, duplicate, state }] of receipts.entries()) {
    expect([deliveryId, correlationId, duplicate, state]).toEqual([
      `d${index}`,
      runs[index]?.correlationId,
      false,
      'queued',
    ]);
    expect(workflowName).toMatch(new RegExp(`^p${index}-`));
  }
  const { rows } = await database.db.query({
    text: `SELECT r.delivery_id, r.attempts, m.interaction_id FROM facteur.runs r
      JOIN codex_kb.task_runs t ON t.id = r.run_id AND t.delivery_id = 'command:' || r.delivery_id
      JOIN codex_kb.tasks k ON k.id = t.task_id JOIN codex_kb.ideas i ON i.id = k.idea_id AND i.source_ref = r.delivery_id
      JOIN codex_kb.run_events e ON e.task_run_id = r.run_id
      LEFT JOIN facteur.messages m ON m.run_id = r.run_id ORDER BY r.accepted_at, r.delivery_id`,
  });
  expect(new Map(rows.map((row) => [row['delivery_id'], [row['attempts'], row['interaction_id']]]))).toEqual(
    new Map(
      runs.map(({ deliveryId, message }, index) => [
        deliveryId,
        [index % 3 === 0 ? 1 : 0, message?.interactionId ?? null],
      ]),
    ),
  );
});

test('a statement belongs to the trace of the first run in it', async () => {
  const { db, recorder } = setUp();
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  onTestFinished(() => context.disable());
  const key = createContextKey('trace');
  const traces: unknown[] = [];
  db.faults.before = () => void traces.push(context.active().getValue(key));
  await Promise.all(
    ['one', 'two', 'three'].map((name) =>
      context.with(ROOT_CONTEXT.setValue(key, name), () => recorder.record(newRun({ deliveryId: name }), true)),
    ),
  );
  expect(traces).toEqual(['one', 'two']);
});

test('repeated deliveries among others are one run each, with one receipt', async () => {
  const { recorder } = setUp();
  const receipts = await Promise.all(
    Array.from({ length: 60 }, (_, index) => recorder.record(newRun({ deliveryId: `d${index % 20}` }), true)),
  );
  expect(await countRuns(database.db, 'queued')).toBe(20);
  expect(receipts.filter(({ duplicate }) => !duplicate)).toHaveLength(20);
  for (const [index, receipt] of receipts.entries()) {
    expect({ ...receipt, duplicate: false }).toEqual({ ...receipts[index % 20], duplicate: false });
  }
});

test('an idea has the payload of its last delivery', async () => {
  const { recorder } = setUp();
  await Promise.all(
    Array.from({ length: 30 }, (_, index) =>
      recorder.record(newRun({ idea: { ...ideaOf(`issue-${index % 3}`), payload: { index } } }), true),
    ),
  );
  expect([await count('codex_kb.ideas'), await count('codex_kb.tasks'), await count('codex_kb.task_runs')]).toEqual([
    3, 3, 30,
  ]);
  const { rows } = await database.db.query({ text: 'SELECT payload FROM codex_kb.ideas ORDER BY source_ref' });
  expect(rows.map(({ payload }) => payload)).toEqual([{ index: 27 }, { index: 28 }, { index: 29 }]);
});

test('refuses a run that Postgres cannot store, and records its neighbours', async () => {
  const { recorder } = setUp();
  const results = await Promise.allSettled(
    Array.from({ length: 40 }, (_, index) => recorder.record(newRun(index === 17 ? { userId: 'a\0b' } : {}), true)),
  );
  expect(results.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))).toEqual([17]);
  expect(results[17]).toMatchObject({ reason: { code: 'postgres.invalid' } });
  expect(await countRuns(database.db, 'queued')).toBe(39);
});

test('without the database, all waiting runs fail and none is recorded', async () => {
  const { db, recorder } = setUp();
  db.faults.before = () => unavailable();
  const results = await Promise.allSettled(Array.from({ length: 10 }, () => recorder.record(newRun(), true)));
  expect(results).toEqual(
    Array.from({ length: 10 }, () =>
      expect.objectContaining({ reason: expect.objectContaining({ code: 'postgres.unavailable' }) }),
    ),
  );
  db.faults.before = () => undefined;
  await recorder.record(newRun(), true);
  expect(await countRuns(database.db, 'queued')).toBe(1);
});

test('no caller waits forever for a hung database', async () => {
  const { db, recorder, timer } = setUp();
  const held = Promise.withResolvers<undefined>();
  db.faults.before = () => held.promise;
  const first = recorder.record(newRun(), true);
  const second = recorder.record(newRun(), true);
  await timer.pass(50);
  await timer.pass(4_950);
  await expect(second).rejects.toMatchObject({ code: 'postgres.unavailable', retryable: true });
  held.resolve(undefined);
  await first;
  expect(await countRuns(database.db, 'queued')).toBe(1);
});

test.each([
  ['runs', { waiting: 2 }],
  ['characters', { waitingCharacters: 2.5 * sizeOf(newRun()) }],
])(
  'while the database hangs, the number of waiting %s is limited: further runs fail at once',
  async (_limit, limits) => {
    const { db, recorder } = setUp(limits);
    const held = Promise.withResolvers<undefined>();
    db.faults.before = () => held.promise;
    const accepted = [1, 2, 3].map(() => recorder.record(newRun(), true));
    const turnedAway = Array.from({ length: 50 }, () => recorder.record(newRun(), true));
    for (const { reason } of (await Promise.allSettled(turnedAway)) as PromiseRejectedResult[]) {
      expect(reason).toMatchObject({ code: 'postgres.unavailable', retryable: true });
    }
    held.resolve(undefined);
    await Promise.all(accepted);
    expect(await countRuns(database.db, 'queued')).toBe(3);
  },
);

test('does not record a waiting run that was aborted', async () => {
  const { db, recorder, timer } = setUp();
  const held = Promise.withResolvers<undefined>();
  db.faults.before = () => held.promise;
  const givenUp = new AbortController();
  const first = recorder.record(newRun(), true, givenUp.signal);
  const second = recorder.record(newRun(), true, givenUp.signal);
  const third = recorder.record(newRun(), true);
  givenUp.abort();
  held.resolve(undefined);
  await expect(second).rejects.toMatchObject({ code: 'postgres.unavailable' });
  await Promise.all([first, third]);
  expect(await countRuns(database.db, 'queued')).toBe(2);
  expect(timer.due).toBe(0);
});

test('a run whose statement is in flight is no longer refused for having waited', async () => {
  const { db, recorder, timer } = setUp({ statements: 2 });
  const held = Promise.withResolvers<undefined>();
  db.faults.before = () => held.promise;
  const runs = [recorder.record(newRun(), true), recorder.record(newRun(), true)];
  await timer.pass(50);
  timer.advance(5000);
  held.resolve(undefined);
  expect(await Promise.all(runs)).toHaveLength(2);
  expect(timer.due).toBe(0);
});

test('serialises a run once, however long it waits', async () => {
  const { recorder, statements } = setUp({ runs: 4 });
  let serialised = 0;
  const counted = () => {
    const { plan } = newRun();
    const toJSON = () => {
      serialised += 1;
      return plan;
    };
    return newRun({ plan: { ...plan, ...{ toJSON } } });
  };
  await Promise.all(Array.from({ length: 41 }, () => recorder.record(counted(), true)));
  expect({ statements: statements.length, serialised }).toEqual({ statements: 11, serialised: 41 });
});

test('large runs do not share a statement', async () => {
  const { recorder, statements } = setUp();
  const large = () => newRun({ runMetadata: { text: 'x'.repeat(60_000) } });
  await Promise.all(Array.from({ length: 6 }, () => recorder.record(large(), true)));
  expect(statements).toHaveLength(6);
});

test('if the database goes down while runs are recorded one by one, the rest fail without a statement', async () => {
  const { db, recorder, statements } = setUp();
  const runs = Array.from({ length: 9 }, (_, index) => newRun(index === 2 ? { userId: 'a\0b' } : {}));
  // The first has a statement of its own, the next eight share one that is refused, and then the server is down.
  db.faults.before = (name) => {
    statements.push(name);
    return statements.length > 3 ? unavailable() : undefined;
  };
  const results = await Promise.allSettled(runs.map((run) => recorder.record(run, true)));
  expect(statements).toHaveLength(4);
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
});

test('while one statement hangs, others follow one another as long as runs wait', async () => {
  const { db, recorder, statements, timer } = setUp({ statements: 3 });
  const held = Promise.withResolvers<undefined>();
  db.faults.before = (name) => {
    statements.push(name);
    return statements.length === 1 ? held.promise : undefined;
  };
  const hung = recorder.record(newRun(), true);
  // Each of them needs a statement of its own.
  const others = Array.from({ length: 10 }, () => recorder.record(newRun({ idea: ideaOf('issue') }), true));
  await timer.pass(50);
  await Promise.all(others);
  expect([statements.length, await countRuns(database.db, 'queued')]).toEqual([11, 10]);
  held.resolve(undefined);
  await hung;
});

test('runs wait for the statement in flight, but not long for one that hangs', async () => {
  const { db, recorder, statements, timer } = setUp({ statements: 3 });
  const held = Promise.withResolvers<undefined>();
  db.faults.before = (name) => {
    statements.push(name);
    return held.promise;
  };
  const receipts: Promise<unknown>[] = [];
  for (const [before, after] of [
    [1, 2],
    [2, 3],
    [3, 3],
  ] as const) {
    receipts.push(...[1, 2, 3].map(() => recorder.record(newRun(), true)));
    timer.advance(49);
    await vi.waitFor(() => expect(statements).toHaveLength(before));
    await timer.pass(1);
    await vi.waitFor(() => expect(statements).toHaveLength(after));
  }
  held.resolve(undefined);
  await Promise.all(receipts);
  expect(await countRuns(database.db, 'queued')).toBe(9);
});
