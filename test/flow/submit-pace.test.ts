import { expect, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { UrgentWork } from '../../src/base/urgent-work.ts';
import { ArgoError, type ArgoErrorCode } from '../../src/clients/argo/errors.ts';
import { recordRun } from '../../src/ledger/record-run.ts';
import { Submitter } from '../../src/submit/submitter.ts';
import { clientFor } from '../support/cluster.ts';
import { newRun } from '../support/runs.ts';
import { TurnableTimer } from '../support/turnable-timer.ts';
import { database, test } from '../support/ledger-fixture.ts';

const RUNS = 60;
const PASSES = 20;
const CONCURRENCY = 4;

/** The number of creates in `PASSES` passes while each fails with this code. */
async function triesWhile(code: ArgoErrorCode): Promise<number> {
  const { db } = database;
  let tries = 0;
  const fail = async (): Promise<never> => {
    tries += 1;
    throw new ArgoError(code, 'no');
  };
  const submitter = new Submitter({
    db,
    workflows: { ...clientFor('http://127.0.0.1:1'), createWorkflow: fail },
    clock: systemClock,
    timer: new TurnableTimer(),
    random: Math.random,
    logger: silentLogger,
    concurrency: CONCURRENCY,
    maxActive: undefined,
    onChanged: () => undefined,
    urgent: new UrgentWork(),
  });
  onTestFinished(() => submitter.stop());
  await Promise.all(Array.from({ length: RUNS }, () => recordRun(db, { run: newRun(), claim: false })));
  for (let pass = 0; pass < PASSES; pass += 1) {
    await submitter.runOnce();
    await submitter.stop();
  }
  return tries;
}

test.each<ArgoErrorCode>(['argo.connection', 'argo.credentials', 'argo.unauthorized', 'argo.bad_answer'])(
  '%s slows submission to one create per pass: the next one would fail, too',
  async (code) => {
    // The first pass does not know yet. After it, each pass may start at most one.
    expect(await triesWhile(code)).toBeLessThanOrEqual(CONCURRENCY + PASSES);
  },
);

test('argo.quota does not slow submission: other namespaces may have room', async () => {
  expect(await triesWhile('argo.quota')).toBeGreaterThanOrEqual(RUNS);
});
