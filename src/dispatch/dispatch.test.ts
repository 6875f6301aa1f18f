import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { testConfig } from '../../test/support/facteur.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { faultyDatabase, unavailable } from '../../test/support/faulty-database.ts';
import { countRuns, emptyLedger, runOf } from '../../test/support/ledger.ts';
import { createLogger } from '../base/logger.ts';
import { systemClock } from '../base/clock.ts';
import { ANONYMOUS, type Command } from '../domain/command.ts';
import { createAnnouncements } from '../ledger/announcements.ts';
import { createDispatch, type DispatchDeps } from './dispatch.ts';

// What whole requests do not show; the rest is in test/flow.

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());
beforeEach(() => emptyLedger(database.db));

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
  const remembered: unknown[][] = [];
  const logger = createLogger('info', { write: (line) => log.push(line) });
  const dispatch = createDispatch({
    db,
    announcements: createAnnouncements(db, logger),
    disabled: false,
    submitter: undefined,
    sessions: {
      rememberDispatch: async (...args) => {
        remembered.push(args);
      },
    },
    clock: systemClock,
    newId: randomUUID,
    logger,
    roleMap,
    commands,
    argo,
    codex,
    ...overrides,
  });
  return { db, dispatch, log, remembered };
}

test('where nobody submits, the submitters of others are woken', async () => {
  const { dispatch } = await setUp();
  const woken = Promise.withResolvers<void>();
  const subscription = await database.db.listen('facteur_submit', () => woken.resolve());
  const receipt = await dispatch.command(COMMAND, { awaitSubmissionMs: 2_000 });
  expect(receipt).toMatchObject({ state: 'queued', duplicate: false });
  await woken.promise;
  await subscription.close();
  expect((await runOf(database.db, 'd1')).due_at.getTime()).toBeLessThanOrEqual(Date.now() + 1_000);
});

test('that nobody could be woken is no reason to refuse what is recorded', async () => {
  const { db, dispatch, log } = await setUp();
  db.faults.before = (statement) => (statement.startsWith('announce') ? unavailable() : undefined);
  expect(await dispatch.command(COMMAND, { awaitSubmissionMs: 0 })).toMatchObject({ state: 'queued' });
  await vi.waitFor(() => expect(log.join('')).toContain('nobody could be told'));
});

test('a command without a correlation gets one, and keeps it', async () => {
  const { dispatch } = await setUp();
  const first = await dispatch.command(COMMAND, { awaitSubmissionMs: 0 });
  expect(first.correlationId).toMatch(/^[-0-9a-f]{36}$/);
  expect((await dispatch.command(COMMAND, { awaitSubmissionMs: 0 })).correlationId).toBe(first.correlationId);
});

test('a person’s last dispatch is remembered once, and nobody’s never', async () => {
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

test('a refusal that cannot be recorded is no refusal yet: the sender is to come again', async () => {
  const { db, dispatch } = await setUp({ roleMap: { plan: ['1'] } });
  db.faults.before = unavailable;
  await expect(dispatch.command(COMMAND, { awaitSubmissionMs: 0 })).rejects.toMatchObject({ retryable: true });
  db.faults.before = () => undefined;
  await expect(dispatch.command(COMMAND, { awaitSubmissionMs: 0 })).rejects.toMatchObject({
    code: 'refusal.forbidden',
  });
  expect(await countRuns(database.db)).toBe(0);
});

test('a run that does not exist can be neither canceled nor retried', async () => {
  const { dispatch } = await setUp();
  await expect(dispatch.cancel(UNKNOWN, 'ada')).rejects.toMatchObject({ code: 'run.unknown' });
  await expect(dispatch.retry(UNKNOWN, { awaitSubmissionMs: 0 })).rejects.toMatchObject({ code: 'run.unknown' });
});
