import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { emptyLedger } from '../../test/support/ledger.ts';
import { messageRow, recordToldRun } from '../../test/support/notify.ts';
import { claimDueMessages, releaseMessage, type ClaimedMessage, type Release } from './messages.ts';
import { moveRun } from './move-run.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());
beforeEach(() => emptyLedger(database.db));

async function claimOne(): Promise<ClaimedMessage> {
  const { messages } = await claimDueMessages(database.db, 1);
  expect(messages).toHaveLength(1);
  return messages[0]!;
}

const TOLD: Release = {
  outcome: 'told',
  messageId: 'm1',
  tokenRefused: false,
  posts: 0,
  againInMs: undefined,
  restMs: 2000,
  reason: '',
};
const release = (message: ClaimedMessage, fields: Partial<Release> = {}) =>
  releaseMessage(database.db, message, { ...TOLD, ...fields });

const set = (runId: string, assignment: string) =>
  database.db.query({ text: `UPDATE facteur.messages SET ${assignment} WHERE run_id = $1`, values: [runId] });
const secondsFromNow = (value: unknown) => ((value as Date).getTime() - Date.now()) / 1000;

describe('claiming', () => {
  test('takes what is due with its run, and nobody else gets it before the claim is over', async () => {
    const run = await recordToldRun(database.db);
    expect(await claimOne()).toMatchObject({
      runId: run.runId,
      interactionId: run.interactionId,
      channelId: '400000000000000001',
      messageId: '',
      ephemeral: false,
      toldRevision: 0,
      run: { revision: 1, state: 'queued', command: 'plan', workflowName: run.name, cancelRequested: false },
    });
    const { messages, nextInMs } = await claimDueMessages(database.db, 1);
    expect(messages).toEqual([]);
    expect(nextInMs).toBeGreaterThan(35_000);
    await set(run.runId, 'due_at = now()');
    expect((await claimOne()).claim).toBe(2);
  });

  test('a move while it is claimed makes it due when the claim is over, not before', async () => {
    const run = await recordToldRun(database.db);
    await claimOne();
    await moveRun(database.db, { runId: run.runId, to: 'submitted' });
    expect(secondsFromNow((await messageRow(database.db, run.runId))['due_at'])).toBeGreaterThan(35);
  });

  test('the longest due first, as many as there is room for', async () => {
    const [first, second, third] = [
      await recordToldRun(database.db),
      await recordToldRun(database.db),
      await recordToldRun(database.db),
    ];
    await set(third.runId, `due_at = now() - interval '1 minute'`);
    const { messages } = await claimDueMessages(database.db, 2);
    expect(messages.map(({ runId }) => runId).toSorted()).toEqual([first.runId, third.runId].toSorted());
    expect((await claimOne()).runId).toBe(second.runId);
  });

  test('says when the next one is due, and nothing when none is', async () => {
    expect(await claimDueMessages(database.db, 5)).toEqual({ messages: [], nextInMs: undefined });
    const run = await recordToldRun(database.db);
    await set(run.runId, `due_at = now() + interval '3 seconds'`);
    const { nextInMs } = await claimDueMessages(database.db, 5);
    expect(nextInMs).toBeGreaterThan(1000);
    expect(nextInMs).toBeLessThanOrEqual(3000);
  });

  test('a retry of the same interaction finds its answer taken', async () => {
    const run = await recordToldRun(database.db);
    await claimOne();
    const retry = { message: { interactionId: run.interactionId, ephemeral: false }, retryOf: run.runId };
    const again = await recordToldRun(database.db, retry);
    expect(await claimOne()).toMatchObject({ runId: again.runId, interactionTaken: true });
  });
});

describe('giving back', () => {
  test('what was told is not due again until the run moves, and then not at once', async () => {
    const run = await recordToldRun(database.db);
    expect(await release(await claimOne())).toEqual({ ours: true, dueInMs: undefined });
    expect(await messageRow(database.db, run.runId)).toMatchObject({
      message_id: 'm1',
      told_revision: 1,
      told_state: 'queued',
      due_at: null,
      attempts: 0,
    });
    await moveRun(database.db, { runId: run.runId, to: 'submitted' });
    const { messages, nextInMs } = await claimDueMessages(database.db, 1);
    expect(messages).toEqual([]);
    expect(nextInMs).toBeGreaterThan(1000);
  });

  test('a run that moved meanwhile is told of again after the rest', async () => {
    const run = await recordToldRun(database.db);
    const claimed = await claimOne();
    await moveRun(database.db, { runId: run.runId, to: 'submitted' });
    const { ours, dueInMs } = await release(claimed);
    expect(ours).toBe(true);
    expect(dueInMs).toBeGreaterThan(1000);
    expect(dueInMs).toBeLessThanOrEqual(2000);
    expect(await messageRow(database.db, run.runId)).toMatchObject({ told_revision: 1, told_state: 'queued' });
  });

  test('a failure counts and waits, whatever the run does', async () => {
    const run = await recordToldRun(database.db);
    const claimed = await claimOne();
    await moveRun(database.db, { runId: run.runId, to: 'submitted' });
    const { dueInMs } = await release(claimed, {
      outcome: 'failed',
      againInMs: 60_000,
      restMs: 60_000,
      messageId: '',
      tokenRefused: true,
    });
    expect(dueInMs).toBeGreaterThan(55_000);
    expect(await messageRow(database.db, run.runId)).toMatchObject({
      attempts: 1,
      told_revision: 0,
      token_refused: true,
    });
    await moveRun(database.db, { runId: run.runId, to: 'running' });
    expect(secondsFromNow((await messageRow(database.db, run.runId))['due_at'])).toBeGreaterThan(55);
  });

  test('postponed progress does not hold a change of state up', async () => {
    const run = await recordToldRun(database.db);
    await release(await claimOne(), { outcome: 'postponed', againInMs: 300_000, restMs: 0 });
    expect((await messageRow(database.db, run.runId))['attempts']).toBe(0);
    await moveRun(database.db, { runId: run.runId, to: 'submitted' });
    expect((await claimOne()).run.state).toBe('submitted');
  });

  test('what is abandoned is noted once for its reason, and tried again when the run moves', async () => {
    const run = await recordToldRun(database.db);
    const given = { outcome: 'abandoned', reason: 'the channel is gone', restMs: 0 } as const;
    expect(await release(await claimOne(), given)).toEqual({ ours: true, dueInMs: undefined });
    await moveRun(database.db, { runId: run.runId, to: 'submitted' });
    const again = await claimOne();
    expect(again).toMatchObject({ abandoned: 'the channel is gone', attempts: 1 });
    await release(again, given);
    const { rows } = await database.db.query({
      text: `SELECT payload FROM codex_kb.run_events WHERE task_run_id = $1 AND event_type = 'message.abandoned'`,
      values: [run.runId],
    });
    expect(rows).toEqual([{ payload: { reason: 'the channel is gone' } }]);
    expect((await messageRow(database.db, run.runId))['abandoned']).toBe('the channel is gone');
  });

  test('one who comes late changes nothing, but the message is told once more', async () => {
    const run = await recordToldRun(database.db);
    const late = await claimOne();
    await set(run.runId, 'due_at = now()');
    const prompt = await claimOne();
    expect((await release(late, { messageId: 'from the past' })).ours).toBe(false);
    expect(await messageRow(database.db, run.runId)).toMatchObject({ message_id: '', told_revision: 0 });
    // Nor is the prompt one sure any more that its edit came last.
    expect((await release(prompt)).ours).toBe(false);
    await set(run.runId, 'due_at = now()');
    expect((await release(await claimOne())).ours).toBe(true);
    expect(await messageRow(database.db, run.runId)).toMatchObject({
      message_id: 'm1',
      told_revision: 1,
      due_at: null,
    });
  });

  test('a message that was archived meanwhile is nobody’s', async () => {
    const run = await recordToldRun(database.db);
    const claimed = await claimOne();
    await database.db.query({ text: 'DELETE FROM facteur.messages WHERE run_id = $1', values: [run.runId] });
    expect(await release(claimed)).toEqual({ ours: true, dueInMs: undefined });
  });
});
