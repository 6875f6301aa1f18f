import { expect } from 'vitest';
import { AWAIT_SUBMISSION_MS } from '../../src/entry/http/intake.ts';
import { startFacteur } from '../support/facteur.ts';
import { countRuns, created, expectRun, requests, runOf } from '../support/ledger.ts';
import { codexTask, event } from '../support/messages.ts';
import { db, test } from '../support/ledger-fixture.ts';

// A cluster that accepts requests and never answers delays only its own runs.

/** More than there are submission slots. */
const MANY = 150;

test('intake continues while every create hangs, and everything is submitted when the cluster is back', async () => {
  const facteur = await startFacteur({ db });
  const { faults } = facteur.cluster;
  const hang = faults.requests.add({ match: { verb: 'create' }, action: { kind: 'hang' } });

  const ids = Array.from({ length: MANY }, (_, index) => `d${index}`);
  const pending = ids.map((id, index) =>
    facteur.send(index % 2 === 0 ? event({ interactionId: id }) : codexTask({ deliveryId: id })),
  );
  // Long before the deliveries are answered, all are recorded, and other requests are served.
  await expect.poll(() => countRuns(db)).toBe(MANY);
  expect((await fetch(`${facteur.url}/healthz`)).status).toBe(200);
  expect((await fetch(`${facteur.url}/readyz`)).status).toBe(200);
  expect((await facteur.send(event({ command: '' }))).status).toBe(400);

  const answers = await facteur.timer.until(Promise.all(pending));
  expect(answers.map(({ status, body }) => `${status} ${body.status}`)).toEqual(ids.map(() => '202 queued'));
  expect(created(facteur.cluster)).toEqual([]);

  // The hung creates time out. The others had no slot.
  faults.requests.remove(hang);
  await expect.poll(() => countRuns(db, 'submitted'), { timeout: 150_000, interval: 100 }).toBe(MANY);
  expect(created(facteur.cluster).toSorted()).toEqual(answers.map(({ body }) => body.workflowName).toSorted());
});

test('a create that takes longer than an answer may wait: queued, then submitted, with one request', async () => {
  const facteur = await startFacteur({ db });
  const { requests: faults } = facteur.cluster.faults;
  const hold = faults.add({ match: { verb: 'create' }, action: { kind: 'hold' } });
  const pending = facteur.send(event({ interactionId: 'd1' }));
  await facteur.timer.pass(AWAIT_SUBMISSION_MS);
  const answer = await pending;
  expect(answer).toMatchObject({ status: 202, body: { status: 'queued' } });
  faults.remove(hold);
  await expectRun(db, 'd1', 'submitted');
  expect(await runOf(db, 'd1')).toMatchObject({ attempts: 1, workflow_name: answer.body.workflowName });
  expect(requests(facteur.cluster, 'create')).toBe(1);
});
