import { expect } from 'vitest';
import { lockWait } from '../../test/support/lock-waits.ts';
import { messageRow, recordToldRun } from '../../test/support/notify.ts';
import { submitRun } from '../../test/support/runs.ts';
import { claimDueMessages, releaseMessage } from './messages.ts';
import { database, test } from '../../test/support/ledger-fixture.ts';

/** Tests that need a server with several connections. */

const TOLD = {
  outcome: 'told',
  messageId: 'm',
  tokenRefused: false,
  posts: 0,
  againInMs: undefined,
  restMs: 0,
  reason: '',
} as const;

test('a move that commits while the message is released is not lost', async () => {
  const run = await recordToldRun(database.db);
  const [claimed] = (await claimDueMessages(database.db, 1)).messages;
  const { promise: mayCommit, resolve: commit } = Promise.withResolvers<void>();
  const { promise: hasMoved, resolve: moved } = Promise.withResolvers<void>();
  const moving = database.db.transaction(async (tx) => {
    await submitRun(tx, run.runId);
    moved();
    await mayCommit;
  });
  await hasMoved;
  const releasing = releaseMessage(database.db, claimed!, TOLD);
  await lockWait(database.db);
  commit();
  await moving;
  expect(await releasing).toMatchObject({ ours: true, dueInMs: expect.any(Number) });
  expect((await messageRow(database.db, run.runId))['due_at']).not.toBeNull();
});

test('concurrent claims get each message once', async () => {
  const runs = await Promise.all(Array.from({ length: 40 }, () => recordToldRun(database.db)));
  const claims = await Promise.all(Array.from({ length: 16 }, () => claimDueMessages(database.db, 5)));
  const claimed = claims.flatMap(({ messages }) => messages.map(({ runId }) => runId));
  expect(claimed.toSorted()).toEqual(runs.map(({ runId }) => runId).toSorted());
});
