import { describe, expect } from 'vitest';
import { letWait, recordToldRun, type ToldRun } from '../../test/support/notify.ts';
import { submitRun } from '../../test/support/runs.ts';
import { db, ownConnection, rowsRead, test } from '../../test/support/ledger-fixture.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import { claimDueMessages } from './messages.ts';
import { MAX_AHEAD } from './queue-place.ts';
import { claimDueRuns } from './submission-queue.ts';

/** A run that has waited for some seconds, after all that were recorded before. */
async function waitingRun(secondsAgo: number): Promise<ToldRun> {
  const run = await recordToldRun(db);
  await letWait(db, run);
  await set(run, `open_runs SET due_at = now() - make_interval(secs => ${secondsAgo})`);
  return run;
}

async function set({ runId }: ToldRun, change: string, on: Queryable = db): Promise<void> {
  await on.query({ text: `UPDATE facteur.${change} WHERE run_id = $1`, values: [runId] });
}

/** As many as a notifier claims: for hundreds of messages PostgreSQL prefers to read all of a small table of runs. */
const AT_ONCE = 8;

async function claimed(run: ToldRun, maxActive?: number, on: Queryable = db) {
  await on.query({ text: 'UPDATE facteur.messages SET due_at = now() WHERE run_id = $1', values: [run.runId] });
  const { messages } = await claimDueMessages(on, AT_ONCE, maxActive);
  return messages.find(({ runId }) => runId === run.runId);
}

describe('the place of a run', () => {
  test('matches the order in which submitters take the runs', async () => {
    const runs = [await waitingRun(40), await waitingRun(30), await waitingRun(20)];
    const places: unknown[] = [];
    for (const run of runs) {
      places.push((await claimed(run))?.queue?.ahead);
    }
    expect(places).toEqual([0, 1, 2]);
    const { runs: taken } = await claimDueRuns(db, { limit: 2, maxActive: 2 });
    expect(taken.map(({ runId }) => runId).toSorted()).toEqual(
      runs
        .slice(0, 2)
        .map(({ runId }) => runId)
        .toSorted(),
    );
    expect((await claimed(runs[2]!))?.queue?.ahead).toBe(0);
  });

  test('counts live runs, up to the limit', async () => {
    await submitRun(db, (await recordToldRun(db)).runId);
    await submitRun(db, (await recordToldRun(db)).runId);
    const run = await waitingRun(5);
    expect((await claimed(run, 1))?.queue).toEqual({ ahead: 0, active: 1, heldUp: '' });
    expect((await claimed(run, 9))?.queue).toEqual({ ahead: 0, active: 2, heldUp: '' });
    expect((await claimed(run))?.queue).toEqual({ ahead: 0, active: 0, heldUp: '' });
  });

  test.each([
    ['recorded a moment ago', `open_runs SET due_at = now()`, true],
    ['being submitted', `open_runs SET due_at = now() + interval '15 seconds'`, false],
    ['waiting for a retry', `runs SET reason = 'the cluster did not answer'`, false],
    ['about to be canceled', `runs SET cancel_requested_by = 'ada'`, false],
  ])('is unknown for a run that is %s', async (_what, change, inLine) => {
    const run = await waitingRun(5);
    // Within a transaction, now() is constant.
    await db.transaction(async (tx) => {
      await set(run, change, tx);
      expect(await claimed(run, undefined, tx)).toMatchObject({ queue: null, inLine });
    });
  });

  test('is not counted beyond a hundred, and the rows read do not grow with the queue', async () => {
    const template = await waitingRun(1);
    const copies = 3000;
    // Reads of another connection may be counted at any later time.
    const own = await ownConnection();
    await own.db.query({
      text: `WITH made AS (
          INSERT INTO facteur.runs (run_id, delivery_id, delivery_key, kind, command, door, state, namespace, workflow_name,
            correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at)
          SELECT gen_random_uuid(), 'copy-' || n, 'command:copy-' || n, kind, command, door, state, namespace, 'copy-' || n,
            '', '', '', '', '', accepted_at
          FROM facteur.runs, generate_series(1, $2::int) AS n WHERE run_id = $1 RETURNING run_id
        )
        INSERT INTO facteur.open_runs (run_id, line, in_cluster, due_at)
        SELECT run_id, 'create', false, now() - interval '1 hour' + row_number() OVER () * interval '1 second' FROM made`,
      values: [template.runId, copies],
    });
    await own.db.query({ text: 'ANALYZE' });
    const before = await rowsRead(own.db);
    expect((await claimed(template, 5, own.db))?.queue).toEqual({ ahead: MAX_AHEAD + 1, active: 0, heldUp: '' });
    expect((await rowsRead(own.db)) - before).toBeLessThan(copies / 10);
    await own.close();
  });
});
