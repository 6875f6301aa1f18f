import { expect, test, vi } from 'vitest';
import { silentLogger } from '../../base/logger.ts';
import { FacteurError } from '../../base/errors.ts';
import { KafkaError } from '../../clients/kafka/errors.ts';
import type { OutgoingRecord } from '../../clients/kafka/records.ts';
import { DatabaseError, type Statement } from '../../clients/postgres/database.ts';
import type { Command } from '../../domain/command.ts';
import { Refusal } from '../../domain/refusal.ts';
import type { RunReceipt } from '../../domain/run.ts';
import { silentKafkaEvents } from '../../../test/support/kafka-door.ts';
import { kafkaRecord } from '../../../test/support/kafka-record.ts';
import { handleRecord, type HandlerDeps, type Together } from './handle-record.ts';

const GOOD = kafkaRecord({ offset: 4n, value: Buffer.from('{"command":"plan"}') });
const BROKEN = kafkaRecord({ offset: 5n, value: Buffer.from('{"command":') });

const unavailable = new DatabaseError('postgres.unavailable', 'down', { retryable: true });
/** This many consecutive statements that Postgres does not answer. */
const outage = (statements: number): Error[] => Array.from({ length: statements }, () => unavailable);
const contended = new FacteurError('ledger.contended', 'lost', { retryable: true });

/** A handler whose dispatch, table and topic answer from lists: an error is thrown, anything else is success. */
function handler(answers: { dispatch?: unknown[]; table?: unknown[]; topic?: unknown[] }) {
  const commands: Command[] = [];
  const letters: Statement[] = [];
  const produced: OutgoingRecord[] = [];
  const answer = (list: unknown[] | undefined): void => {
    const next = list?.shift();
    if (next instanceof Error) {
      throw next;
    }
  };
  const events = {
    ...silentKafkaEvents,
    processed: vi.fn<HandlerDeps['events']['processed']>(),
    retried: vi.fn<HandlerDeps['events']['retried']>(),
    deadLettered: vi.fn<HandlerDeps['events']['deadLettered']>(),
  };
  const deps: HandlerDeps = {
    dispatch: {
      async command(command) {
        commands.push(command);
        answer(answers.dispatch);
        return { duplicate: false } as RunReceipt;
      },
    },
    db: {
      async query(statement) {
        letters.push(statement);
        answer(answers.table);
        return { rows: [], rowCount: 1 };
      },
    },
    kafka: {
      async produce(record) {
        produced.push(record);
        answer(answers.topic);
      },
    },
    dlqTopic: answers.topic === undefined ? undefined : 'dlq',
    maxAttempts: 3,
    logger: silentLogger,
    backoff: { firstMs: 1, maxMs: 2 },
    random: () => 0,
    events,
  };
  const stop = new AbortController();
  return {
    commands,
    letters,
    produced,
    events,
    stop,
    run: (record = GOOD, together?: Together) => handleRecord(record, stop.signal, deps, together),
  };
}

test('a good record becomes a run with the same identity every time', async () => {
  const { run, commands, letters, events } = handler({});
  expect(await run()).toBe(true);
  expect(await run()).toBe(true);
  expect(commands.map(({ deliveryId, door }) => [deliveryId, door])).toEqual([
    ['kafka:commands/0/4@0', 'kafka'],
    ['kafka:commands/0/4@0', 'kafka'],
  ]);
  expect(letters).toEqual([]);
  expect(events.processed).toHaveBeenLastCalledWith({
    command: 'plan',
    duplicate: false,
    durationMs: expect.any(Number),
  });
});

test('parks a permanently refused record on the first attempt', async () => {
  const { run, commands, letters, events } = handler({ dispatch: [new Refusal('forbidden')] });
  expect(await run()).toBe(true);
  expect(commands).toHaveLength(1);
  expect(letters).toHaveLength(1);
  expect(events.deadLettered).toHaveBeenCalledWith(
    expect.objectContaining({ command: 'plan', code: 'refusal.forbidden', to: 'table' }),
  );
});

test('parks an unreadable record without dispatching it', async () => {
  const { run, commands, letters } = handler({});
  expect(await run(BROKEN)).toBe(true);
  expect(commands).toEqual([]);
  expect(letters[0]?.values?.slice(0, 4)).toEqual([
    'kafka',
    'kafka:commands/0/5@0',
    'invalid payload: invalid JSON',
    1,
  ]);
});

test('attempts do not count while Postgres is down, and count afterwards', async () => {
  const dispatch = [...outage(50), contended, unavailable, contended, unavailable, contended];
  const { run, commands, letters, events } = handler({ dispatch });
  expect(await run()).toBe(true);
  expect(commands).toHaveLength(55);
  expect(letters[0]?.values?.[3]).toBe(3);
  expect(events.retried).toHaveBeenCalledTimes(54);
});

test('retries a dead letter until it is stored', async () => {
  const { run, letters } = handler({
    table: [unavailable, new DatabaseError('postgres.failed', 'x', { retryable: false })],
  });
  expect(await run(BROKEN)).toBe(true);
  expect(letters).toHaveLength(3);
});

test('parks in the topic, not in the table, if a topic is configured', async () => {
  const { run, letters, produced, events } = handler({ topic: [] });
  expect(await run(BROKEN)).toBe(true);
  expect([produced.length, letters.length]).toEqual([1, 0]);
  expect(events.deadLettered).toHaveBeenCalledWith(expect.objectContaining({ command: '', to: 'topic' }));
});

test('retries an unavailable topic', async () => {
  const { run, letters, produced } = handler({ topic: [new KafkaError('kafka.unavailable', 'x')] });
  expect(await run(BROKEN)).toBe(true);
  expect([produced.length, letters.length]).toEqual([2, 0]);
});

test.each(['kafka.rejected', 'kafka.topic', 'kafka.denied'] as const)(
  'parks in the table if the topic fails with %s',
  async (code) => {
    const { run, letters, produced } = handler({ topic: [new KafkaError(code, 'x')] });
    expect(await run(BROKEN)).toBe(true);
    expect([produced.length, letters.length]).toEqual([1, 1]);
  },
);

test('a stop ends the wait between attempts and hands the record back', async () => {
  const { run, stop, events } = handler({ dispatch: outage(1000) });
  const done = run();
  await vi.waitFor(() => expect(events.retried).toHaveBeenCalled());
  stop.abort();
  expect(await done).toBe(false);
});

test('a record that fails in a batch waits for the previous record, and is then parked on its first attempt', async () => {
  const before = Promise.withResolvers<boolean>();
  const { run, commands, letters } = handler({ dispatch: [new Refusal('forbidden')] });
  const place = { record: vi.fn<Together['place']['record']>(), leave: vi.fn<() => void>() };
  const done = run(GOOD, { place, turn: before.promise });
  await vi.waitFor(() => expect(place.leave).toHaveBeenCalledOnce());
  expect([commands.length, letters.length]).toEqual([1, 0]);
  before.resolve(true);
  expect(await done).toBe(true);
  expect([commands.length, letters.length]).toEqual([1, 1]);
});

test('retries a record that failed in a batch because of an outage', async () => {
  const { run, commands, letters, events } = handler({ dispatch: outage(2) });
  const place = { record: vi.fn<Together['place']['record']>(), leave: () => undefined };
  expect(await run(GOOD, { place, turn: Promise.resolve(true) })).toBe(true);
  expect([commands.length, letters.length]).toEqual([3, 0]);
  expect(events.retried).toHaveBeenCalledTimes(2);
});

test('retries a held-back record alone once the previous record is handled, and not if that was handed back', async () => {
  for (const isHandled of [true, false]) {
    const { run, commands, events } = handler({
      dispatch: [new FacteurError('ledger.held_back', 'x', { retryable: true })],
    });
    const place = { record: vi.fn<Together['place']['record']>(), leave: () => undefined };
    expect(await run(GOOD, { place, turn: Promise.resolve(isHandled) })).toBe(isHandled);
    expect(commands).toHaveLength(isHandled ? 2 : 1);
    expect(events.retried).not.toHaveBeenCalled();
  }
});
