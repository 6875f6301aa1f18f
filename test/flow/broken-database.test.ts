import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { silentLogger } from '../../src/base/logger.ts';
import type { Database } from '../../src/clients/postgres/database.ts';
import { handleRecord } from '../../src/entry/kafka/handle-record.ts';
import { listDeadLetters } from '../../src/ledger/unprocessed.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startFacteur, testConfig } from '../support/facteur.ts';
import { kafkaRecord } from '../support/kafka-record.ts';
import { recordingDispatch, silentKafkaEvents } from '../support/kafka-door.ts';
import { countRuns } from '../support/ledger.ts';
import { codexTask, event } from '../support/messages.ts';

// A database that answers but cannot be used (a table is missing, a permission was revoked) is not the sender's fault:
// nothing is refused, nothing becomes a dead letter, and everything continues after the repair.

let database: TestDatabase;
let db: Database;
beforeEach(async () => {
  database = await createTestDatabase();
  ({ db } = database);
});
afterEach(() => database.close());

const TROUBLES: readonly [string, breaking: string, mending: string][] = [
  ['a missing table', 'ALTER TABLE facteur.runs RENAME TO away', 'ALTER TABLE facteur.away RENAME TO runs'],
  [
    'a missing column',
    'ALTER TABLE facteur.runs RENAME COLUMN door TO away',
    'ALTER TABLE facteur.runs RENAME COLUMN away TO door',
  ],
];

test.each(TROUBLES)('%s: HTTP answers 503 and keeps no dead letter', async (_name, breaking, mending) => {
  const facteur = await startFacteur({ db });
  await db.query({ text: breaking });
  const event1 = { 'ce-id': '1', 'ce-source': '/kafka', 'ce-specversion': '1.0' };
  const answers = [await facteur.send(event({}), event1), await facteur.send(codexTask({ deliveryId: 'd' }), event1)];
  expect(answers.map(({ status, body, headers }) => [status, body.error, headers.get('retry-after')])).toEqual([
    [503, 'dispatcher unavailable', '5'],
    [503, 'dispatcher unavailable', '5'],
  ]);
  await db.query({ text: mending });
  expect(await listDeadLetters(db, 10)).toEqual([]);
  expect((await facteur.send(event({}), event1)).status).toBe(202);
});

test.each(TROUBLES)('%s: Kafka waits beyond the maximum attempts of a record', async (_name, breaking, mending) => {
  const config = await testConfig();
  const failed = vi.fn<() => void>();
  await db.query({ text: breaking });
  const handled = handleRecord(kafkaRecord({ offset: 4n, value: Buffer.from('{"command":"plan"}') }), stop.signal, {
    dispatch: recordingDispatch(config, db, silentLogger),
    db,
    kafka: { produce: () => Promise.reject(new Error('nothing belongs there')) },
    dlqTopic: 'dlq',
    maxAttempts: 3,
    logger: silentLogger,
    events: { ...silentKafkaEvents, retried: failed },
    backoff: { firstMs: 1, maxMs: 1 },
    random: Math.random,
  });
  await expect.poll(() => failed.mock.calls.length).toBeGreaterThan(5);
  await db.query({ text: mending });
  expect(await handled).toBe(true);
  expect(await listDeadLetters(db, 10)).toEqual([]);
  expect(await countRuns(db)).toBe(1);
});

const stop = new AbortController();
