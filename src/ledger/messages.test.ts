import { describe, expect } from 'vitest';
import { messageRow, recordToldRun, type ToldRun } from '../../test/support/notify.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import {
  claimDueMessages,
  findPlaces,
  MESSAGE_CLAIM_SECONDS,
  releaseMessage,
  type ClaimedMessage,
  type Release,
} from './messages.ts';
import { observeRun, submitRun } from '../../test/support/runs.ts';
import { database, test } from '../../test/support/ledger-fixture.ts';

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
/** Within a transaction, now() is constant. */
const atOneTime = (work: (tx: Queryable) => Promise<void>) => database.db.transaction(work);
async function dueInMs(tx: Queryable, { runId }: ToldRun): Promise<unknown> {
  const text = `SELECT (extract(epoch FROM due_at - now()) * 1000)::float8 AS ms FROM facteur.messages WHERE run_id = $1`;
  return (await tx.query<{ ms: number }>({ text, values: [runId] })).rows[0]?.ms;
}

describe('claiming', () => {
  test('takes a due message with its run, and no one else gets it before the claim ends', async () => {
    const run = await recordToldRun(database.db);
    expect(await claimOne()).toMatchObject({
      runId: run.runId,
      interactionId: run.interactionId,
      channelId: '400000000000000001',
      messageId: '',
      ephemeral: false,
      toldRevision: 0,
      revision: 1,
      state: 'queued',
      command: 'plan',
      workflowName: run.name,
      cancelRequested: false,
    });
    expect((await claimDueMessages(database.db, 1)).messages).toEqual([]);
    await set(run.runId, 'due_at = now()');
    await atOneTime(async (tx) => {
      expect((await claimDueMessages(tx, 1)).messages).toMatchObject([{ fence: 2 }]);
      expect(await claimDueMessages(tx, 1)).toEqual({ messages: [], nextInMs: MESSAGE_CLAIM_SECONDS * 1000 });
    });
  });

  test('a move during a claim makes the message due when the claim ends, not before', async () => {
    const run = await recordToldRun(database.db);
    await atOneTime(async (tx) => {
      await claimDueMessages(tx, 1);
      await submitRun(tx, run.runId);
      expect(await dueInMs(tx, run)).toBe(MESSAGE_CLAIM_SECONDS * 1000);
    });
  });

  test('takes the longest due first, up to the limit', async () => {
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

  test('returns when the next message is due, or undefined if there is none', async () => {
    expect(await claimDueMessages(database.db, 5)).toEqual({ messages: [], nextInMs: undefined });
    const run = await recordToldRun(database.db);
    await atOneTime(async (tx) => {
      const text = `UPDATE facteur.messages SET due_at = now() + interval '3 seconds' WHERE run_id = $1`;
      await tx.query({ text, values: [run.runId] });
      expect(await claimDueMessages(tx, 5)).toEqual({ messages: [], nextInMs: 3000 });
    });
  });

  test('a retry from the same interaction finds its answer taken', async () => {
    const run = await recordToldRun(database.db);
    await claimOne();
    const retry = { message: { interactionId: run.interactionId, ephemeral: false }, retryOf: run.runId };
    const again = await recordToldRun(database.db, retry);
    expect(await claimOne()).toMatchObject({ runId: again.runId, interactionTaken: true });
  });
});

describe('a run and its retry', () => {
  const PLACE = { guildId: '300000000000000001', channelId: '400000000000000001' };
  /** A run with a message, and its retry, whose message was not posted yet. */
  async function retried({ isPrivate }: { readonly isPrivate: boolean }) {
    const first = await recordToldRun(database.db, { message: { interactionId: 'i1', ephemeral: isPrivate } });
    await release(await claimOne());
    const again = await recordToldRun(database.db, {
      deliveryId: `retry:${first.runId}`,
      family: 'derived',
      retryOf: first.runId,
      message: { interactionId: 'i2', ephemeral: isPrivate },
    });
    return { first, again };
  }

  test.each([
    [false, { ...PLACE, messageId: 'm1' }, { ...PLACE, messageId: 'm2' }],
    [true, null, null],
  ])('link to each other’s message unless it is private (private: %s)', async (isPrivate, retryOf, retriedBy) => {
    const { first } = await retried({ isPrivate });
    const second = await claimOne();
    expect(second.retryOf).toEqual(retryOf);
    await release(second, { messageId: 'm2' });
    await set(first.runId, 'due_at = now()');
    expect((await claimOne()).retriedBy).toEqual(retriedBy);
    const places = await findPlaces(database.db, [first.runId]);
    expect(places.get(first.runId)?.messageId).toBe(retryOf?.messageId);
  });

  test('do not link if the retry was withdrawn', async () => {
    const { first, again } = await retried({ isPrivate: false });
    await release(await claimOne(), { messageId: 'm2' });
    await database.db.query({
      text: 'UPDATE facteur.runs SET withdrawn = true WHERE run_id = $1',
      values: [again.runId],
    });
    await set(first.runId, 'due_at = now()');
    expect((await claimOne()).retriedBy).toBeNull();
  });
});

describe('releasing', () => {
  test('a delivered message is not due again until the run moves', async () => {
    const run = await recordToldRun(database.db);
    expect(await release(await claimOne())).toMatchObject({ ours: true, dueInMs: undefined });
    expect(await messageRow(database.db, run.runId)).toMatchObject({
      message_id: 'm1',
      told_revision: 1,
      told_state: 'queued',
      due_at: null,
      attempts: 0,
    });
  });

  test('if the run moves after the release, the message is due after the rest', async () => {
    await recordToldRun(database.db);
    const claimed = await claimOne();
    await atOneTime(async (tx) => {
      await releaseMessage(tx, claimed, TOLD);
      await submitRun(tx, claimed.runId);
      expect(await claimDueMessages(tx, 1)).toEqual({ messages: [], nextInMs: TOLD.restMs });
    });
  });

  test('if the run moved during the claim, the message is due after the rest', async () => {
    const run = await recordToldRun(database.db);
    const claimed = await claimOne();
    await submitRun(database.db, run.runId);
    expect(await release(claimed)).toMatchObject({ ours: true, dueInMs: TOLD.restMs });
    expect(await messageRow(database.db, run.runId)).toMatchObject({ told_revision: 1, told_state: 'queued' });
  });

  test('a failure counts as an attempt and waits, even if the run moves', async () => {
    const run = await recordToldRun(database.db);
    const claimed = await claimOne();
    await submitRun(database.db, run.runId);
    const failed = { outcome: 'failed', againInMs: 60_000, restMs: 60_000, messageId: '', tokenRefused: true } as const;
    await atOneTime(async (tx) => {
      expect(await releaseMessage(tx, claimed, { ...TOLD, ...failed })).toMatchObject({ ours: true, dueInMs: 60_000 });
      await observeRun(tx, run.runId, { state: 'running' });
      expect(await dueInMs(tx, run)).toBe(60_000);
    });
    expect(await messageRow(database.db, run.runId)).toMatchObject({
      attempts: 1,
      told_revision: 0,
      token_refused: true,
    });
  });

  test('postponed progress does not delay a state change', async () => {
    const run = await recordToldRun(database.db);
    await release(await claimOne(), { outcome: 'postponed', againInMs: 300_000, restMs: 0 });
    expect((await messageRow(database.db, run.runId))['attempts']).toBe(0);
    await submitRun(database.db, run.runId);
    expect((await claimOne()).state).toBe('submitted');
  });

  test('an abandoned message records one event per reason, and is retried when the run moves', async () => {
    const run = await recordToldRun(database.db);
    const given = { outcome: 'abandoned', reason: 'the channel is gone', restMs: 0 } as const;
    expect(await release(await claimOne(), given)).toMatchObject({ ours: true, dueInMs: undefined });
    await submitRun(database.db, run.runId);
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

  test('a release after a lost claim changes nothing, but the message is sent again', async () => {
    const run = await recordToldRun(database.db);
    const late = await claimOne();
    await set(run.runId, 'due_at = now()');
    const prompt = await claimOne();
    expect((await release(late, { messageId: 'from the past' })).ours).toBe(false);
    expect(await messageRow(database.db, run.runId)).toMatchObject({ message_id: '', told_revision: 0 });
    // The prompt process cannot be sure either that its edit was the last.
    expect((await release(prompt)).ours).toBe(false);
    await set(run.runId, 'due_at = now()');
    expect((await release(await claimOne())).ours).toBe(true);
    expect(await messageRow(database.db, run.runId)).toMatchObject({
      message_id: 'm1',
      told_revision: 1,
      due_at: null,
    });
  });

  test('after a late release the message is sent again, even if it was delivered meanwhile', async () => {
    const run = await recordToldRun(database.db);
    const late = await claimOne();
    await set(run.runId, 'due_at = now()');
    expect((await release(await claimOne())).ours).toBe(true);
    expect(await messageRow(database.db, run.runId)).toMatchObject({ told_revision: 1, due_at: null });
    expect((await release(late)).ours).toBe(false);
    await set(run.runId, 'due_at = now()');
    expect((await claimOne()).toldRevision).toBe(0);
  });

  test('a message archived during the claim is not due again', async () => {
    const run = await recordToldRun(database.db);
    const claimed = await claimOne();
    await database.db.query({ text: 'DELETE FROM facteur.messages WHERE run_id = $1', values: [run.runId] });
    expect(await release(claimed)).toMatchObject({ ours: true, dueInMs: undefined });
  });
});
