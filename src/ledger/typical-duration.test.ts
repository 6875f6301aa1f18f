import { expect } from 'vitest';
import { forceState, newRun } from '../../test/support/runs.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { recordRun } from './record-run.ts';
import { typicalDuration } from './typical-duration.ts';

test('the typical duration of a command is the median of its successes, once there are five', async () => {
  for (const [index, seconds] of [10, 20, 30, 40, 5000].entries()) {
    expect(await typicalDuration(db, 'plan')).toBeUndefined();
    const { runId } = await recordRun(db, { run: newRun({ deliveryId: `d${index}` }), claim: true });
    await forceState(db, runId, 'succeeded');
    const times = 'started_at = accepted_at, finished_at = accepted_at + make_interval(secs => $2)';
    await db.query({ text: `UPDATE facteur.runs SET ${times} WHERE run_id = $1`, values: [runId, seconds] });
  }
  expect(await typicalDuration(db, 'plan')).toBe(30_000);
  expect(await typicalDuration(db, 'review')).toBeUndefined();
});
