import { randomUUID } from 'node:crypto';
import { expect, vi } from 'vitest';
import { testConfig } from '../../test/support/facteur.ts';
import { faultyDatabase, unavailable } from '../../test/support/faulty-database.ts';
import { countRuns, runOf } from '../../test/support/ledger.ts';
import { forceState } from '../../test/support/runs.ts';
import { TurnableTimer } from '../../test/support/turnable-timer.ts';
import { createLogger } from '../base/logger.ts';
import { validTraceparent } from '../base/traceparent.ts';
import { systemClock } from '../base/clock.ts';
import { ANONYMOUS, type Command } from '../domain/command.ts';
import { createAnnouncements } from '../ledger/due-work.ts';
import { DispatchEvents } from './dispatch-events.ts';
import { createDispatch, type DispatchDeps } from './dispatch.ts';
import { database, test } from '../../test/support/ledger-fixture.ts';

// Only what whole requests do not show; the rest is in test/flow.

const COMMAND: Command = {
  door: 'http',
  deliveryId: 'd1',
  interactionId: 'd1',
  name: 'plan',
  options: {},
  principal: ANONYMOUS,
  correlationId: '',
  traceparent: '',
  traceId: '',
};
const UNKNOWN = randomUUID();

async function setUp(overrides: Partial<DispatchDeps> = {}) {
  const db = faultyDatabase(database.db);
  const log: string[] = [];
  const { roleMap, commands, argo, codex } = await testConfig();
  const rules = () => ({ roleMap, commands });
  const remembered: unknown[][] = [];
  const logger = createLogger('info', { write: (line) => log.push(line) });
  const dispatch = createDispatch({
    db,
    wakes: createAnnouncements(db, logger),
    disabled: false,
    events: new DispatchEvents(rules, logger),
    submitter: undefined,
    sessions: {
      rememberDispatch: async (...args) => {
        remembered.push(args);
      },
    },
    clock: systemClock,
    timer: new TurnableTimer(),
    newId: randomUUID,
    logger,
    rules,
    argo,
    codex,
    ...overrides,
  });
  return { db, dispatch, log, remembered };
}

test('wakes the submitters of other processes if it has none', async () => {
  const { dispatch } = await setUp();
  const woken = Promise.withResolvers<void>();
  const subscription = await database.db.listen('facteur_submit', () => woken.resolve());
  const receipt = await dispatch.command(COMMAND, { awaitSubmissionMs: 2_000 });
  expect(receipt).toMatchObject({ state: 'queued', duplicate: false });
  await woken.promise;
  await subscription.close();
  expect((await runOf(database.db, 'd1')).due_at.getTime()).toBeLessThanOrEqual(Date.now() + 1_000);
});

test('accepts a recorded run even if the wake-up fails', async () => {
  const { db, dispatch, log } = await setUp();
  db.faults.before = (statement) => (statement.startsWith('announce') ? unavailable() : undefined);
  expect(await dispatch.command(COMMAND, { awaitSubmissionMs: 0 })).toMatchObject({ state: 'queued' });
  await vi.waitFor(() => expect(log.join('')).toContain('could not notify other processes'));
});

test('the correlation id of a command and of its retry is the workflow name by default', async () => {
  const { dispatch } = await setUp();
  const first = await dispatch.command(COMMAND, { awaitSubmissionMs: 0 });
  expect(first.correlationId).toBe(first.workflowName);
  expect((await dispatch.command(COMMAND, { awaitSubmissionMs: 0 })).correlationId).toBe(first.correlationId);
  await forceState(database.db, first.runId, 'failed');
  const again = await dispatch.retry(first.runId, { awaitSubmissionMs: 0, door: 'cli' });
  expect(again.correlationId).toBe(again.workflowName);
  expect(again.workflowName).not.toBe(first.workflowName);
});

test('a command without a trace starts one, which its retry continues', async () => {
  const { dispatch } = await setUp();
  const { runId } = await dispatch.command(COMMAND, { awaitSubmissionMs: 0 });
  const traceparent = async (id: string): Promise<string> => {
    const text = 'SELECT traceparent FROM facteur.runs WHERE run_id = $1';
    return (await database.db.query<{ traceparent: string }>({ text, values: [id] })).rows[0]!.traceparent;
  };
  const first = await traceparent(runId);
  expect(validTraceparent(first)).toBe(first);
  expect(first).not.toBe('');
  await forceState(database.db, runId, 'failed');
  expect(await traceparent((await dispatch.retry(runId, { awaitSubmissionMs: 0, door: 'cli' })).runId)).toBe(first);
  // Recorded before every run had a trace.
  await database.db.query({
    text: `UPDATE facteur.runs SET traceparent = '', state = 'queued', previous_state = NULL`,
  });
  await forceState(database.db, runId, 'failed');
  await database.db.query({ text: 'DELETE FROM facteur.runs WHERE run_id <> $1', values: [runId] });
  await database.db.query({ text: 'DELETE FROM codex_kb.task_runs WHERE id <> $1', values: [runId] });
  expect(await traceparent((await dispatch.retry(runId, { awaitSubmissionMs: 0, door: 'cli' })).runId)).toMatch(/^00-/);
});

test('a retry is the last dispatch of its requester', async () => {
  const { dispatch, remembered } = await setUp();
  const { runId } = await dispatch.command(COMMAND, { awaitSubmissionMs: 0 });
  await forceState(database.db, runId, 'failed');
  const asker = { userId: '7', message: { interactionId: 'i', ephemeral: false } };
  const { workflowName } = await dispatch.retry(runId, { awaitSubmissionMs: 0, door: 'cli', asker });
  expect(remembered).toEqual([['7', expect.objectContaining({ workflowName, correlationId: workflowName })]]);
});

test('stores the last dispatch of a user once, and none without a user', async () => {
  const { dispatch, remembered } = await setUp();
  const ofAda = {
    ...COMMAND,
    deliveryId: 'd2',
    principal: { ...ANONYMOUS, userId: '42' },
    correlationId: 'c',
    traceId: 't',
  };
  await dispatch.command(COMMAND, { awaitSubmissionMs: 0 });
  const { namespace, workflowName } = await dispatch.command(ofAda, { awaitSubmissionMs: 0 });
  await dispatch.command(ofAda, { awaitSubmissionMs: 0 });
  const message = `Workflow \`${workflowName}\` submitted to namespace \`${namespace}\`.`;
  expect(remembered).toEqual([['42', { namespace, workflowName, message, correlationId: 'c', traceId: 't' }]]);
});

test('the last dispatch of a user never claims a submission that did not happen', async () => {
  const ofAda = { ...COMMAND, principal: { ...ANONYMOUS, userId: '42' } };
  const disabled = await setUp({ disabled: true });
  await disabled.dispatch.command(ofAda, { awaitSubmissionMs: 0 });
  expect(disabled.remembered).toEqual([['42', expect.objectContaining({ message: 'dispatcher disabled' })]]);

  const submitter = {
    takeSlot: () => undefined,
    settled: async () => ({ state: 'refused', reason: 'no such template' }),
    nudge: () => undefined,
  };
  const refused = await setUp({ submitter: submitter as unknown as DispatchDeps['submitter'] });
  const receipt = await refused.dispatch.command({ ...ofAda, deliveryId: 'd2' }, { awaitSubmissionMs: 1 });
  expect(receipt.state).toBe('refused');
  expect(refused.remembered).toEqual([]);
});

test('a refusal that cannot be recorded is retryable', async () => {
  const { db, dispatch } = await setUp({ rules: () => ({ commands: {}, roleMap: { plan: ['1'] } }) });
  db.faults.before = unavailable;
  await expect(dispatch.command(COMMAND, { awaitSubmissionMs: 0 })).rejects.toMatchObject({ retryable: true });
  db.faults.before = () => undefined;
  await expect(dispatch.command(COMMAND, { awaitSubmissionMs: 0 })).rejects.toMatchObject({
    code: 'refusal.forbidden',
  });
  expect(await countRuns(database.db)).toBe(0);
});

test('an unknown run cannot be canceled or retried', async () => {
  const { dispatch } = await setUp();
  await expect(dispatch.cancel(UNKNOWN, 'ada')).rejects.toMatchObject({ code: 'run.unknown' });
  await expect(dispatch.retry(UNKNOWN, { awaitSubmissionMs: 0, door: 'cli' })).rejects.toMatchObject({
    code: 'run.unknown',
  });
});
