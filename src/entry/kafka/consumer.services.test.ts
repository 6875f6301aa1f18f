import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { faultyDatabase } from '../../../test/support/faulty-database.ts';
import { createTestDatabase, openTestPostgres, type TestDatabase } from '../../../test/support/database.ts';
import { consumerConfig, TestKafka, type TestRecord } from '../../../test/support/kafka.ts';
import {
  anonymous,
  expectTotals,
  good,
  openKafkaDoor,
  poison,
  totals,
  type DoorOptions,
  type KafkaDoor,
} from '../../../test/support/kafka-door.ts';
import { newRun } from '../../../test/support/runs.ts';
import { startTcpProxy } from '../../../test/support/tcp-proxy.ts';
import { FacteurError } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import type { Dispatch } from '../../dispatch/dispatch.ts';
import { CommandEventSchema } from '../../proto/proompteng/facteur/v1/contract_pb.ts';

let kafka: TestKafka;
let database: TestDatabase;
let doors: KafkaDoor[] = [];

beforeAll(() => {
  kafka = new TestKafka();
});
afterAll(() => kafka.close());
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  await Promise.all(doors.map((door) => door.stop()));
  doors = [];
  await database.close();
});

async function open(options: Omit<DoorOptions, 'db'> & Partial<Pick<DoorOptions, 'db'>>): Promise<KafkaDoor> {
  const door = await openKafkaDoor({ db: database.db, ...options });
  doors.push(door);
  return door;
}

async function close(door: KafkaDoor): Promise<void> {
  doors = doors.filter((other) => other !== door);
  await door.stop();
}

async function runs(): Promise<Record<string, unknown>[]> {
  // Ten thousand rows arrived within seconds: without statistics the join below exceeds the statement timeout.
  await database.db.query({ text: 'ANALYZE' });
  const { rows } = await database.db.query({
    text: `SELECT runs.delivery_id, runs.command, runs.user_id, runs.traceparent, runs.state, idea.payload
      FROM facteur.runs JOIN codex_kb.task_runs run ON run.id = runs.run_id
      JOIN codex_kb.tasks task ON task.id = run.task_id JOIN codex_kb.ideas idea ON idea.id = task.idea_id
      ORDER BY (SELECT min(event.id) FROM codex_kb.run_events event WHERE event.task_run_id = runs.run_id)`,
  });
  return rows;
}

async function letters(): Promise<Record<string, unknown>[]> {
  const { rows } = await database.db.query({ text: 'SELECT * FROM facteur.dead_letters ORDER BY id' });
  return rows;
}

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

test('command events in every format become runs, in order, under their own identity', async () => {
  const topic = await kafka.createTopic(1);
  const protobuf = Buffer.from(
    toBinary(
      CommandEventSchema,
      create(CommandEventSchema, { command: 'plan', interactionId: '1', user: { id: 'u1' } }),
    ),
  );
  const older = { command: 'plan', options: { objective: 'x' }, userId: 'u2', correlationId: 'c' };
  const structured = { specversion: '1.0', id: 'e2', source: '/s', type: 't', data: { command: 'review' } };
  const records: TestRecord[] = [
    {
      value: protobuf,
      headers: [
        ['content-type', 'application/x-protobuf'],
        ['traceparent', TRACE],
      ],
    },
    { value: protobuf.subarray(0), headers: [] },
    { value: Buffer.from(JSON.stringify(older)) },
    {
      value: Buffer.from(JSON.stringify(older)),
      headers: [
        ['ce_id', 'e1'],
        ['ce_source', '/s'],
        ['content-type', 'application/json'],
      ],
    },
    { value: Buffer.from(JSON.stringify(structured)), headers: [['content-type', 'application/cloudevents+json']] },
  ].map((record) => ({ partition: 0, headers: [], ...record }) as TestRecord);
  await kafka.produce(topic, records);
  await open({ config: consumerConfig(topic) });
  await expectTotals(database.db, { runs: 4, letters: 0 });
  expect(await runs()).toMatchObject([
    { delivery_id: '1', command: 'plan', user_id: 'u1', traceparent: TRACE, state: 'queued' },
    { delivery_id: expect.stringMatching(new RegExp(`^kafka:${topic}/0/2@\\d{13}$`)), user_id: 'u2' },
    { delivery_id: '/s|e1', user_id: 'u2' },
    { delivery_id: '/s|e2', command: 'review' },
  ]);
  await expect.poll(() => kafka.committed(topic, `${topic}-group`, 1)).toEqual([5n]);
});

test('a batch that is too large when decompressed becomes one dead letter and does not block its neighbours', async () => {
  const topic = await kafka.createTopic(1);
  await kafka.produce(topic, [good('before', 0)]);
  await kafka.produce(topic, [good('within', 0), { partition: 0, value: Buffer.alloc(20 << 20) }], {
    compression: 'zstd',
  });
  await kafka.produce(topic, [good('after', 0)]);
  await open({ config: consumerConfig(topic) });
  await expectTotals(database.db, { runs: 2, letters: 1 });
  expect(await letters()).toMatchObject([
    {
      door: 'kafka',
      attempts: 1,
      delivery_id: expect.stringMatching(new RegExp(`^kafka:${topic}/0/2@\\d{13}$`)),
      reason: 'records 1 to 2 cannot be read: the batch decompresses to more than 10485760 bytes',
      headers: { 'facteur-source': `${topic}/0/2` },
      body: Buffer.alloc(0),
    },
  ]);
  await expect.poll(() => kafka.committed(topic, `${topic}-group`, 1)).toEqual([4n]);
});

test('ids that differ only in invalid UTF-8 are refused, so they are not taken for one', async () => {
  const topic = await kafka.createTopic(1);
  const records = [200, 201].map((last): TestRecord => {
    const headers = [['ce_id', Buffer.from([1, last])] as const, ['ce_source', '/s'] as const];
    return { partition: 0, value: Buffer.from('{"command":"plan"}'), headers };
  });
  await kafka.produce(topic, records);
  await open({ config: consumerConfig(topic) });
  await expectTotals(database.db, { runs: 0, letters: 2 });
  expect((await letters()).map(({ reason }) => reason)).toEqual(
    Array.from({ length: 2 }, () => 'invalid payload: header ce-id: must be UTF-8'),
  );
});

test('bad records are parked at once and do not block their neighbours', async () => {
  const topic = await kafka.createTopic(2);
  await open({ config: consumerConfig(topic) });
  await kafka.produce(topic, [good('warm-0', 0), good('warm-1', 1)]);
  await expectTotals(database.db, { runs: 2, letters: 0 });
  const token = 'aW50ZXJhY3Rpb246c2VjcmV0';
  const bad: TestRecord[] = [
    poison(0),
    { partition: 0, key: Buffer.from('k') },
    { partition: 0, value: Buffer.alloc(0) },
    {
      partition: 0,
      value: Buffer.from([0xff, 0xff, 0xff]),
      headers: [
        ['ce_id', 'nul\0'],
        ['authorization', 'Bearer x'],
      ],
    },
    { partition: 0, value: Buffer.from(JSON.stringify({ token, interactionId: '9' })) },
    { partition: 0, value: Buffer.from('{}'), headers: [['content-type', 'text/plain']] },
    {
      partition: 0,
      value: Buffer.from(JSON.stringify({ command: 'plan', options: { a: '{{x}}' }, interactionId: '10' })),
    },
  ];
  const mixed = bad.flatMap((record, index) => [good(`before-${index}`, 0), record, good(`other-${index}`, 1)]);
  await kafka.produce(topic, [...mixed, good('last', 0)]);
  await expectTotals(database.db, { runs: 2 + 15, letters: 7 });
  const kept = await letters();
  expect(kept.map(({ reason, attempts }) => [reason, attempts])).toEqual([
    ['invalid payload: invalid JSON', 1],
    ['empty payload', 1],
    ['empty payload', 1],
    [expect.stringContaining('invalid payload'), 1],
    ['missing command', 1],
    [expect.stringContaining('unsupported media type'), 1],
    [expect.stringContaining('template tag not allowed'), 1],
  ]);
  expect(JSON.stringify(kept)).not.toContain('Bearer');
  expect(String(kept[4]!['body'])).not.toContain(token);
  expect(kept[6]).toMatchObject({ delivery_id: '10', door: 'kafka' });
  expect(kept[0]!['headers']).toMatchObject({ 'facteur-source': `${topic}/0/2` });
});

test('a backlog is recorded in batches, in order, with bad records in between', async () => {
  const topic = await kafka.createTopic(1);
  const ids = Array.from({ length: 200 }, (_, index) => `r${index}`);
  const records = ids.map((id) => good(id, 0));
  // One is unreadable; the other is readable, but Postgres cannot store it.
  records.splice(100, 0, poison(0));
  const unstorable = { command: 'plan', interactionId: 'u', channelId: 'nul \u0000' };
  records.splice(50, 0, { partition: 0, value: Buffer.from(JSON.stringify(unstorable)) });
  await kafka.produce(topic, records);
  const counted = faultyDatabase(database.db);
  let statements = 0;
  counted.faults.before = (name) => void (statements += name === 'record-runs' ? 1 : 0);
  await open({ config: consumerConfig(topic), db: counted });
  await expectTotals(database.db, { runs: 200, letters: 2 });
  expect((await runs()).map((run) => run['delivery_id'])).toEqual(ids);
  await expect.poll(() => kafka.committed(topic, `${topic}-group`, 1)).toEqual([202n]);
  // At worst the batches with the two bad records are recorded one by one.
  expect(statements).toBeLessThan(140);
});

test('enforces the role map, and parks refused commands', async () => {
  const topic = await kafka.createTopic(1);
  const member = {
    command: 'plan',
    interactionId: '2',
    user: { id: 'u' },
    member: { id: 'u', roles: ['99999999999999999'] },
  };
  const alike = { ...member, command: 'plan.\u200b', interactionId: '3', member: { id: 'u', roles: [] } };
  const sent = [member, alike].map((event) => ({ partition: 0, value: Buffer.from(JSON.stringify(event)) }));
  await kafka.produce(topic, [good('1', 0), ...sent]);
  await open({ config: consumerConfig(topic), yaml: 'role_map:\n  plan: ["99999999999999999"]\n' });
  await expectTotals(database.db, { runs: 1, letters: 2 });
  expect(await runs()).toMatchObject([{ delivery_id: '2' }]);
  const reason = expect.stringContaining('forbidden');
  expect(await letters()).toMatchObject([
    { delivery_id: '1', reason },
    { delivery_id: '3', reason },
  ]);
});

test('writes dead letters to the topic unchanged, with reason and source', async () => {
  const topic = await kafka.createTopic(1);
  const dlq = await kafka.createTopic(1);
  const value = Buffer.from([0xff, 0, 1]);
  await kafka.produce(topic, [
    {
      partition: 0,
      key: Buffer.from('k'),
      value,
      headers: [
        ['a', 'ä'],
        ['none', null],
      ],
    },
    good('1', 0),
  ]);
  await open({ config: consumerConfig(topic, { dlq: { enabled: true, topic: dlq } }) });
  await expectTotals(database.db, { runs: 1, letters: 0 });
  expect(await kafka.readAll(dlq)).toEqual([
    expect.objectContaining({
      key: 'k',
      value,
      headers: {
        a: 'ä',
        none: null,
        'facteur-error': expect.stringContaining('invalid payload'),
        'facteur-attempts': '1',
        'facteur-source': `${topic}/0/0`,
      },
    }),
  ]);
});

test.each([
  ['does not exist', async () => 'facteur-no-such-topic'],
  ['rejects them', () => kafka.createTopic(1, { 'max.message.bytes': '100' })],
])('writes dead letters to the table if the dead-letter topic %s', async (_what, dlq) => {
  const topic = await kafka.createTopic(1);
  await kafka.produce(topic, [poison(0), good('1', 0)]);
  await open({ config: consumerConfig(topic, { dlq: { enabled: true, topic: await dlq() } }) });
  await expectTotals(database.db, { runs: 1, letters: 1 });
  await kafka.produce(topic, [poison(0), good('2', 0)]);
  await expectTotals(database.db, { runs: 2, letters: 2 });
});

test('a failure other than a Postgres outage counts as an attempt, and blocks only its own partition', async () => {
  const topic = await kafka.createTopic(2);
  const tries = new Map<string, number>();
  const dispatch: Pick<Dispatch, 'command'> = {
    async command({ deliveryId }, { recorder }) {
      if (deliveryId !== 'unlucky') {
        await recorder?.record(newRun({ deliveryId }), false);
      }
      tries.set(deliveryId, (tries.get(deliveryId) ?? 0) + 1);
      if (deliveryId === 'unlucky') {
        throw new FacteurError('ledger.contended', 'the delivery could not be recorded', { retryable: true });
      }
      return { duplicate: false } as Awaited<ReturnType<Dispatch['command']>>;
    },
  };
  const door = await open({ config: consumerConfig(topic, { maxAttempts: 5 }), dispatch });
  await kafka.produce(topic, [good('unlucky', 0), good('behind', 0), good('beside', 1)]);
  await vi.waitFor(() => expect(tries.get('unlucky')).toBeGreaterThan(1));
  expect([tries.get('beside'), tries.get('behind')]).toEqual([1, undefined]);
  await vi.waitFor(() => expect(tries.get('behind')).toBe(1));
  expect(tries.get('unlucky')).toBe(5);
  expect(await letters()).toMatchObject([{ delivery_id: 'unlucky', attempts: 5 }]);
  await close(door);
});

test('offsets rewound by 10,000: the ledger and the dead letters stay unchanged', async () => {
  const topic = await kafka.createTopic(4);
  const records = Array.from({ length: 10_000 }, (_, index) => {
    if (index % 100 === 7) {
      return poison(index % 4, `{"command":${index}`);
    }
    return index % 2 === 0 ? good(`run-${index}`, index % 4) : anonymous(index % 4, `o-${index}`);
  });
  await kafka.produce(topic, records);
  const config = consumerConfig(topic);
  const door = await open({ config });
  await expectTotals(database.db, { runs: 9_900, letters: 100 }, 200_000);
  const before = await runs();
  await close(door);
  expect((await kafka.committed(topic, config.groupId, 4)).reduce((sum, offset) => sum + offset, 0n)).toBe(10_000n);

  await kafka.rewind(topic, config.groupId, [0n, 0n, 0n, 0n]);
  const duplicates: boolean[] = [];
  let parked = 0;
  await open({
    config,
    events: { processed: ({ duplicate }) => duplicates.push(duplicate), deadLettered: () => (parked += 1) },
  });
  await expect.poll(() => [duplicates.length, parked], { timeout: 200_000, interval: 200 }).toEqual([9_900, 100]);
  expect(duplicates.every(Boolean)).toBe(true);
  expect(await totals(database.db)).toEqual({ runs: 9_900, letters: 100 });
  expect(await runs()).toEqual(before);
}, 420_000);

test('Postgres down for 20 s: everything waits, nothing is parked, nothing is lost', async () => {
  const server = new URL(database.dsn);
  const proxy = await startTcpProxy(server.hostname, Number(server.port));
  const cut = new URL(database.dsn);
  cut.port = String(proxy.port);
  const throughProxy = openTestPostgres(cut.href, { poolSize: 5 });
  const topic = await kafka.createTopic(3);
  const config = consumerConfig(topic, { maxAttempts: 2 });
  const door = await open({ config, db: throughProxy });
  let produced = 0;
  const produceSome = async (): Promise<void> => {
    const batch = Array.from({ length: 30 }, (_, index) =>
      index % 10 === 9 ? poison(index % 3) : good(`run-${produced + index}`, index % 3),
    );
    produced += batch.length;
    await kafka.produce(topic, batch);
  };
  await produceSome();
  await expectTotals(database.db, { runs: 27, letters: 3 });
  const begun = performance.now();
  proxy.refuse();
  // Load continues through the outage. Each round takes a second: 20 s in total.
  await expect
    .poll(
      async () => {
        await produceSome();
        return performance.now() - begun;
      },
      { interval: 1_000 },
    )
    .toBeGreaterThan(20_000);
  expect(await totals(database.db)).toEqual({ runs: 27, letters: 3 });
  proxy.restore();
  await expectTotals(database.db, { runs: (produced / 10) * 9, letters: produced / 10 });
  expect(door.log.some((line) => line.includes('retrying'))).toBe(true);
  await close(door);
  await throughProxy.close();
  await proxy.close();
});

test('a stop in the middle of an outage commits nothing: the next consumer processes the records', async () => {
  const server = new URL(database.dsn);
  const proxy = await startTcpProxy(server.hostname, Number(server.port));
  const cut = new URL(database.dsn);
  cut.port = String(proxy.port);
  const throughProxy = openTestPostgres(cut.href, { poolSize: 5 });
  const topic = await kafka.createTopic(1);
  const config = consumerConfig(topic);
  proxy.refuse();
  const door = await open({ config, db: throughProxy });
  await kafka.produce(topic, [good('1', 0), good('2', 0)]);
  await vi.waitFor(() => expect(door.log.some((line) => line.includes('retrying'))).toBe(true));
  await close(door);
  expect(await kafka.committed(topic, config.groupId, 1)).toEqual([-1n]);
  await open({ config });
  await expectTotals(database.db, { runs: 2, letters: 0 });
  await throughProxy.close();
  await proxy.close();
});

test('wrong credentials stop it with one clear log line', async () => {
  const config = consumerConfig('t', {
    brokers: [process.env['FACTEUR_TEST_KAFKA_SASL_BROKERS']!],
    sasl: { mechanism: 'scram-sha-512', username: 'facteur', password: new Secret('guess-1234') },
  });
  const door = await openKafkaDoor({ config, db: database.db });
  await expect.poll(() => door.log.some((line) => line.includes('consumer stopped'))).toBe(true);
  await expect(door.stop()).rejects.toMatchObject({ code: 'kafka.authentication' });
});
