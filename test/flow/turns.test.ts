import { expect, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { UrgentWork } from '../../src/base/urgent-work.ts';
import { recordRun } from '../../src/ledger/record-run.ts';
import { Submitter } from '../../src/submit/submitter.ts';
import { clientFor, startCluster } from '../support/cluster.ts';
import { created } from '../support/ledger.ts';
import { newRun } from '../support/runs.ts';
import { TurnableTimer } from '../support/turnable-timer.ts';
import { database, test } from '../support/ledger-fixture.ts';

test('a slot that becomes free goes to the run that waits for it, not to the next one that comes', async () => {
  const { db } = database;
  const cluster = await startCluster();
  const submitter = new Submitter({
    db,
    workflows: clientFor(cluster.url),
    clock: systemClock,
    timer: new TurnableTimer(),
    random: Math.random,
    logger: silentLogger,
    concurrency: 2,
    maxActive: undefined,
    onChanged: () => undefined,
    urgent: new UrgentWork(),
  });
  onTestFinished(() => submitter.stop());
  const [first, second] = [submitter.takeSlot(), submitter.takeSlot()];
  expect([first, second]).not.toContain(undefined);
  expect(submitter.takeSlot()).toBeUndefined();
  const { workflowName } = await recordRun(db, { run: newRun(), claim: false });
  submitter.start();
  first?.release();
  expect(submitter.takeSlot()).toBeUndefined();
  await expect.poll(() => created(cluster)).toEqual([workflowName]);
  second?.release();
  // No run waits any more.
  await expect.poll(() => submitter.takeSlot()).toBeDefined();
});
