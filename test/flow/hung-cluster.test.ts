import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Database } from '../../src/clients/postgres/database.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startFacteur } from '../support/facteur.ts';
import { countRuns, created, emptyLedger, expectRun, requests, runOf } from '../support/ledger.ts';
import { codexTask, event } from '../support/messages.ts';

// A cluster that takes requests and never answers holds up nobody but its own runs.

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ db } = database);
});
afterAll(() => database.close());
beforeEach(() => emptyLedger(db));

/** More than there are places for creates under way. */
const MANY = 150;

test(
  'intake goes on while every place for a create hangs, and everything is submitted when the cluster is back',
  { timeout: 60_000 },
  async () => {
    const facteur = await startFacteur({ db });
    const { faults } = facteur.cluster;
    const hang = faults.requests.add({ match: { verb: 'create' }, action: { kind: 'hang' } });

    const ids = Array.from({ length: MANY }, (_, index) => `d${index}`);
    const begun = performance.now();
    const pending = ids.map((id, index) =>
      facteur.send(index % 2 === 0 ? event({ interactionId: id }) : codexTask({ deliveryId: id })),
    );
    // Long before anything is answered, everything is recorded, and whoever asks for something else is served.
    await expect.poll(() => countRuns(db), { timeout: 15_000 }).toBe(MANY);
    expect((await fetch(`${facteur.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${facteur.url}/readyz`)).status).toBe(200);
    expect((await facteur.send(event({ command: '' }))).status).toBe(400);

    const answers = await Promise.all(pending);
    expect(answers.map(({ status, body }) => `${status} ${body.status}`)).toEqual(ids.map(() => '202 queued'));
    // The two seconds that an answer may wait, and what this machine takes for all of them.
    expect(performance.now() - begun).toBeLessThan(20_000);
    for (const { tookMs } of answers) {
      expect(tookMs).toBeGreaterThan(1_900);
    }
    expect(created(facteur.cluster)).toEqual([]);

    // The hung ones run into their time limit; the rest had no place.
    faults.requests.remove(hang);
    await expect.poll(() => countRuns(db, 'submitted'), { timeout: 40_000, interval: 100 }).toBe(MANY);
    expect(created(facteur.cluster).toSorted()).toEqual(answers.map(({ body }) => body.workflowName).toSorted());
  },
);

test('a cluster that is slower than an answer may wait: queued, then submitted, with one request', async () => {
  const facteur = await startFacteur({ db });
  facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'delay', ms: 2500 } });
  const answer = await facteur.send(event({ interactionId: 'd1' }));
  expect(answer).toMatchObject({ status: 202, body: { status: 'queued' } });
  await expectRun(db, 'd1', 'submitted');
  expect(await runOf(db, 'd1')).toMatchObject({ attempts: 1, workflow_name: answer.body.workflowName });
  expect(requests(facteur.cluster, 'create')).toBe(1);
});
