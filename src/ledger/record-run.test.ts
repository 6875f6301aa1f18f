import { describe, expect } from 'vitest';
import { faultyDatabase } from '../../test/support/faulty-database.ts';
import { countRuns, runOf, wholeLedger } from '../../test/support/ledger.ts';
import { forceState, newRun } from '../../test/support/runs.ts';
import { DatabaseError } from '../clients/postgres/database.ts';
import { statementError } from '../clients/postgres/map-error.ts';
import { RUN_STATES } from '../domain/run-state.ts';
import type { NewRun } from '../domain/run.ts';
import { workflowName } from '../domain/workflow-name.ts';
import { prepareRun, recordRun, recordTogether } from './record-run.ts';
import { db, ownConnection, rowsRead, test } from '../../test/support/ledger-fixture.ts';

const ACCEPTED_AT = new Date('2026-02-03T04:05:06.789Z');

test('a sequence behind its table, as after logical replication, is a retryable error of the database', async () => {
  await recordRun(db, { run: newRun({ deliveryId: 'before' }), claim: false });
  const { rows } = await db.query<{ key: string }>({
    text: `SELECT conname AS key FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
      WHERE contype = 'p' AND connamespace IN ('codex_kb'::regnamespace, 'facteur'::regnamespace)
        AND pg_get_serial_sequence(conrelid::regclass::text, attname) IS NOT NULL AND conname <> 'goose_db_version_pkey'`,
  });
  const keys = rows.map(({ key }) => key).toSorted();
  expect(keys).toEqual(['dead_letters_pkey', 'refusals_pkey', 'run_events_pkey']);
  for (const constraint of keys) {
    const error = Object.assign(new Error('duplicate'), { severity: 'ERROR', code: '23505', constraint });
    expect(statementError(error, 'x')).toMatchObject({ code: 'postgres.broken', retryable: true });
  }
  await db.query({
    text: `SELECT setval('codex_kb.run_events_id_seq', (SELECT max(id) FROM codex_kb.run_events), false)`,
  });
  const second = { run: newRun({ deliveryId: 'second' }), claim: false };
  await expect(recordRun(db, second)).rejects.toMatchObject({
    code: 'postgres.broken',
    message: expect.stringContaining('the sequence of the table is behind its rows: set it with setval'),
  });
  await db.query({ text: `SELECT setval('codex_kb.run_events_id_seq', (SELECT max(id) FROM codex_kb.run_events))` });
  expect(await recordRun(db, second)).toMatchObject({ duplicate: false });
});

test('one statement records the idea, the task, the run and its first event', async () => {
  const statements: string[] = [];
  const watched = faultyDatabase(db);
  watched.faults.before = (name) => void statements.push(name);
  const run = newRun({
    deliveryId: 'd1',
    acceptedAt: ACCEPTED_AT,
    idea: { sourceType: 'github_issue', sourceRef: 'acme/rocket#7', status: 'received', payload: { a: 1 } },
    task: { stage: 'implementation', metadata: { head: 'x' } },
    runMetadata: { deliveryId: 'd1', workflowTemplate: 't' },
  });
  const receipt = await recordRun(watched, { run, claim: true });
  expect(statements).toEqual(['record-runs']);
  expect(receipt).toEqual({
    runId: expect.stringMatching(/^[-0-9a-f]{36}$/),
    deliveryId: 'd1',
    recordedId: null,
    namespace: run.plan.namespace,
    workflowName: workflowName('plan', ACCEPTED_AT, 'd1'),
    correlationId: run.correlationId,
    acceptedAt: ACCEPTED_AT,
    state: 'queued',
    reason: '',
    takenOver: false,
    duplicate: false,
  });
  const { rows } = await db.query({
    text: `SELECT i.source_type, i.source_ref, i.status AS idea_status, i.priority, i.payload, t.stage, t.state, t.metadata AS task_metadata,
        r.id, r.status, r.queued_at, r.metadata, r.delivery_id, r.retry_count, e.event_type, e.payload AS event
      FROM codex_kb.ideas i JOIN codex_kb.tasks t ON t.idea_id = i.id JOIN codex_kb.task_runs r ON r.task_id = t.id
        JOIN codex_kb.run_events e ON e.task_run_id = r.id`,
  });
  expect(rows).toEqual([
    {
      source_type: 'github_issue',
      source_ref: 'acme/rocket#7',
      idea_status: 'received',
      priority: 0,
      payload: { a: 1 },
      stage: 'implementation',
      state: 'queued',
      task_metadata: { head: 'x' },
      id: receipt.runId,
      status: 'queued',
      queued_at: ACCEPTED_AT,
      metadata: { deliveryId: 'd1', workflowTemplate: 't' },
      delivery_id: 'command:d1',
      retry_count: 0,
      event_type: 'state.change',
      event: { to: 'queued', door: 'http' },
    },
  ]);
});

test.each(RUN_STATES)(
  'a replay of a run that is %s returns the same receipt, with its state, and changes no row',
  async (state) => {
    const run = newRun({ deliveryId: 'd1', acceptedAt: ACCEPTED_AT });
    const first = await recordRun(db, { run, claim: true });
    await forceState(db, first.runId, state);
    const before = await wholeLedger(db);
    // Everything except the delivery differs: the first record counts.
    const replay = newRun({ deliveryId: 'd1', correlationId: 'other', plan: { ...run.plan, namePrefix: 'other' } });
    expect(await recordRun(db, { run: replay, claim: true })).toEqual({ ...first, state, duplicate: true });
    expect(await wholeLedger(db)).toBe(before);
  },
);

test('a run is due at the moment it is recorded', async () => {
  // now() is constant in a transaction, and for a millisecond in the embedded database.
  const due = await db.transaction(async (tx) => {
    await recordRun(tx, { run: newRun(), claim: false });
    return tx.query({ text: 'SELECT FROM facteur.open_runs WHERE due_at <= now()' });
  });
  expect(due.rows).toHaveLength(1);
});

test('recording reads no other runs, also with a plan from when there were few', async () => {
  const { db: counted, close } = await ownConnection();
  const record = () => recordRun(counted, { run: newRun(), claim: false });
  await record();
  await db.query({ text: 'ANALYZE' });
  // From the sixth execution on, Postgres may reuse its plan.
  for (let time = 0; time < 10; time += 1) {
    await record();
  }
  await db.query({
    text: `INSERT INTO facteur.runs (run_id, delivery_id, delivery_key, kind, command, door, state, namespace, workflow_name, plan,
        correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at)
      SELECT gen_random_uuid(), 'old' || n, 'command:old' || n, 'command', 'plan', 'http', 'queued', 'argo', 'old' || n, '{}', '', '', '', '', '',
        now() FROM generate_series(1, 5000) n`,
  });
  const before = await rowsRead(counted);
  await record();
  expect((await rowsRead(counted)) - before).toBeLessThan(10);
  await close();
});

test('concurrent copies of one delivery are recorded once', async () => {
  const receipts = await Promise.all(
    Array.from({ length: 12 }, () => recordRun(db, { run: newRun({ deliveryId: 'd1' }), claim: true })),
  );
  expect(receipts.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
  expect(new Set(receipts.map(({ runId, workflowName: name }) => `${runId} ${name}`)).size).toBe(1);
  expect(await countRuns(db)).toBe(1);
});

test.each<[string, (statement: number, name: string) => Partial<NewRun>]>([
  ['deliveries', (_, name) => ({ deliveryId: name })],
  [
    'ideas',
    (statement, name) => ({
      deliveryId: `${name} ${statement}`,
      idea: { sourceType: 'github_issue', sourceRef: name, status: 'received', payload: {} },
    }),
  ],
])('statements with the same %s in different order do not deadlock', async (_what, fields) => {
  for (let round = 0; round < 5; round += 1) {
    const names = Array.from({ length: 50 }, (_, index) => `${round}-${index}`);
    const statements = [names, names.toReversed(), names, names.toReversed()].map((order, statement) =>
      order.map((name) => prepareRun({ run: newRun(fields(statement, name)), claim: false })),
    );
    const ends = await Promise.allSettled(statements.map((runs) => recordTogether(db, runs)));
    const faults: unknown[] = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []));
    // Two concurrent inserts of one delivery may collide. The next attempt resolves it.
    expect(faults.filter((fault) => !(fault instanceof DatabaseError && fault.sqlState === '23505'))).toEqual([]);
  }
});

test('picks another workflow name if a run already has it', async () => {
  const first = await recordRun(db, { run: newRun({ deliveryId: 'd1', acceptedAt: ACCEPTED_AT }), claim: true });
  const taken = workflowName('plan', ACCEPTED_AT, 'd2');
  await db.query({
    text: 'UPDATE facteur.runs SET workflow_name = $2 WHERE run_id = $1',
    values: [first.runId, taken],
  });
  const second = await recordRun(db, { run: newRun({ deliveryId: 'd2', acceptedAt: ACCEPTED_AT }), claim: true });
  expect(second).toMatchObject({ duplicate: false, workflowName: workflowName('plan', ACCEPTED_AT, 'd2', 1) });
});

describe('who may submit a new run', () => {
  const due = async (): Promise<{ inSeconds: number | null; claimed: boolean; attempts: number }[]> => {
    const { rows } = await db.query<{ inSeconds: number | null; claimed: boolean; attempts: number }>({
      text: `SELECT extract(epoch FROM due_at - updated_at)::int AS "inSeconds",
        coalesce(claimed_until > now(), false) AS claimed, attempts FROM facteur.runs LEFT JOIN facteur.open_runs USING (run_id)`,
    });
    return rows;
  };

  test('a claimed run belongs to the caller for 15 s', async () => {
    await recordRun(db, { run: newRun(), claim: true });
    expect(await due()).toEqual([{ inSeconds: 15, claimed: true, attempts: 1 }]);
  });

  test('any process may take an unclaimed run at once', async () => {
    await recordRun(db, { run: newRun(), claim: false });
    expect(await due()).toEqual([{ inSeconds: 0, claimed: false, attempts: 0 }]);
  });

  test('no process takes a skipped run, and it passed through queued', async () => {
    const { state } = await recordRun(db, { run: newRun({ deliveryId: 'd1', state: 'skipped' }), claim: false });
    expect(state).toBe('skipped');
    expect(await due()).toEqual([{ inSeconds: null, claimed: false, attempts: 0 }]);
    expect(await runOf(db, 'd1')).toMatchObject({ previous_state: 'queued' });
  });
});

test('text that Postgres cannot store is refused, and no row is left', async () => {
  await expect(recordRun(db, { run: newRun({ correlationId: 'a\u0000b' }), claim: true })).rejects.toMatchObject({
    code: 'postgres.invalid',
    retryable: false,
  });
  expect(await countRuns(db)).toBe(0);
  expect((await db.query({ text: 'SELECT FROM codex_kb.ideas' })).rowCount).toBe(0);
});

test('records a chat message with the run, due at once', async () => {
  const { runId } = await recordRun(db, {
    run: newRun({ channelId: 'c', message: { interactionId: 'i', ephemeral: true } }),
    claim: true,
  });
  const { rows } = await db.query({
    text: 'SELECT run_id, interaction_id, channel_id, ephemeral, due_at <= now() AS due FROM facteur.messages',
  });
  expect(rows).toEqual([{ run_id: runId, interaction_id: 'i', channel_id: 'c', ephemeral: true, due: true }]);
});
