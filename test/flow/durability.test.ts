import { describe, expect } from 'vitest';
import { unavailable } from '../support/faulty-database.ts';
import { startFacteur } from '../support/facteur.ts';
import { countRuns, created, expectRun } from '../support/ledger.ts';
import { codexTask, event, type Message } from '../support/messages.ts';
import { forceState } from '../support/runs.ts';
import { db, test } from '../support/ledger-fixture.ts';

// Invariant 1: nothing is acknowledged before it is durable in Postgres.

const DOORS: readonly [string, Message][] = [
  ['/events', event({ interactionId: 'd1' })],
  ['/codex/tasks', codexTask({ deliveryId: 'd1' })],
];

describe.each(DOORS)('%s', (_path, message) => {
  test('while the database is down: 503, no run, no workflow; afterwards the same delivery is new', async () => {
    const facteur = await startFacteur({ db });
    facteur.faults.before = unavailable;
    const refused = await facteur.send(message);
    expect(refused).toMatchObject({ status: 503, body: { error: 'dispatcher unavailable' } });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await countRuns(db)).toBe(0);
    facteur.faults.before = () => undefined;
    expect(await facteur.send(message)).toMatchObject({ status: 202, body: { duplicate: false } });
    expect(created(facteur.cluster)).toHaveLength(1);
  });

  test('a request gets no answer until the database answers', async () => {
    const facteur = await startFacteur({ db });
    const wire = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    facteur.faults.before = (statement) => {
      if (statement === 'record-runs') {
        arrived.resolve();
        return wire.promise;
      }
    };
    let answered = false;
    const pending = facteur.send(message).then((answer) => {
      answered = true;
      return answer;
    });
    await arrived.promise;
    // Gives the event loop time for everything that is pending, with a request that does not need the database.
    expect((await fetch(`${facteur.url}/healthz`)).status).toBe(200);
    expect(answered).toBe(false);
    expect(created(facteur.cluster)).toEqual([]);
    wire.reject(new Error('gone'));
    expect((await pending).status).toBe(500);
    expect(await countRuns(db)).toBe(0);
  });

  test('a connection lost after the commit: 503, and a redelivery gets the recorded run', async () => {
    const facteur = await startFacteur({ db });
    facteur.faults.after = (statement) => (statement === 'record-runs' ? unavailable() : undefined);
    expect((await facteur.send(message)).status).toBe(503);
    expect(await countRuns(db)).toBe(1);
    facteur.faults.after = () => undefined;
    const again = await facteur.timer.until(facteur.send(message));
    expect(again).toMatchObject({ status: 202, body: { status: 'queued', duplicate: true } });
    expect(await countRuns(db)).toBe(1);
    // The claim of the lost attempt is still on the row. The next process waits until it expires.
    await db.query({ text: 'UPDATE facteur.open_runs SET due_at = now(), claimed_until = NULL' });
    await facteur.send(message);
    await expectRun(db, 'd1', 'submitted');
    expect(created(facteur.cluster)).toHaveLength(1);
  });

  test('if the submission cannot be recorded at first, the answer is the same and it is recorded later', async () => {
    const facteur = await startFacteur({ db });
    facteur.faults.before = (statement) => (statement === 'mark-submitted' ? unavailable() : undefined);
    expect(await facteur.send(message)).toMatchObject({ status: 202, body: { status: 'submitted' } });
    expect(await countRuns(db, 'queued')).toBe(1);
    facteur.faults.before = () => undefined;
    await expectRun(db, 'd1', 'submitted');
    expect(created(facteur.cluster)).toHaveLength(1);
  });
});

test('an event is kept as a dead letter before it is refused, and gets a 503 if it cannot be kept', async () => {
  const facteur = await startFacteur({ db });
  const bad = event({ interactionId: 'd1', options: { objective: '{{workflow.name}}' } });
  const asEvent = { 'ce-id': '1', 'ce-source': 'test', 'ce-type': 'test', 'ce-specversion': '1.0' };
  facteur.faults.before = (statement) => (statement === 'keep-dead-letter' ? unavailable() : undefined);
  expect((await facteur.send(bad, asEvent)).status).toBe(503);
  facteur.faults.before = () => undefined;
  expect((await facteur.send(bad, asEvent)).status).toBe(422);
  const { rows } = await db.query({ text: 'SELECT delivery_id, reason FROM facteur.dead_letters' });
  expect(rows).toEqual([{ delivery_id: 'd1', reason: expect.stringContaining('template tag') }]);
});

test('a hundred failures of the database leave every submission slot free', async () => {
  const facteur = await startFacteur({ db });
  facteur.faults.before = (statement) => (statement === 'record-runs' ? unavailable() : undefined);
  const failed = await Promise.all(
    Array.from({ length: 100 }, (_, index) => facteur.send(event({ interactionId: `d${index}` }))),
  );
  expect(new Set(failed.map(({ status }) => status))).toEqual(new Set([503]));
  facteur.faults.before = () => undefined;
  const answer = await facteur.send(event({ interactionId: 'd1' }));
  expect(answer).toMatchObject({ status: 202, body: { status: 'submitted', duplicate: false } });
});

test('a hundred redeliveries of a run that has ended leave every submission slot free', async () => {
  const facteur = await startFacteur({ db });
  const { body } = await facteur.send(event({ interactionId: 'd1' }));
  await expectRun(db, 'd1', 'submitted');
  await forceState(db, body.runId, 'succeeded');
  for (let count = 0; count < 100; count += 1) {
    expect((await facteur.send(event({ interactionId: 'd1' }))).body).toMatchObject({ duplicate: true });
  }
  const answer = await facteur.send(event({ interactionId: 'd2' }));
  expect(answer).toMatchObject({ status: 202, body: { status: 'submitted', duplicate: false } });
});
