import { createAnnouncements } from '../../src/ledger/due-work.ts';
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createLogger, type Logger } from '../../src/base/logger.ts';
import { systemTimer } from '../../src/base/timer.ts';
import type { Database, Queryable } from '../../src/clients/postgres/database.ts';
import type { Config, ConsumerConfig } from '../../src/config/config.ts';
import { DispatchEvents } from '../../src/dispatch/dispatch-events.ts';
import { createDispatch, type Dispatch } from '../../src/dispatch/dispatch.ts';
import { openKafka } from '../../src/clients/kafka/open-kafka.ts';
import { runConsumer } from '../../src/entry/kafka/consumer.ts';
import type { KafkaEvents } from '../../src/entry/kafka/kafka-events.ts';
import { testConfig } from './facteur.ts';
import type { TestRecord } from './kafka.ts';

/** For tests that do not check the counted events. */
export const silentKafkaEvents: KafkaEvents = {
  processed: () => undefined,
  retried: () => undefined,
  deadLettered: () => undefined,
  committed: () => undefined,
  lag: () => undefined,
};

/** A consumer in this process without a submitter: its runs stay `queued`. */
export interface KafkaDoor {
  /** Every log line so far, as JSON text. */
  readonly log: readonly string[];
  /** Stops it like SIGTERM; resolves when it has stopped. */
  stop(): Promise<void>;
}

export interface DoorOptions {
  readonly config: ConsumerConfig;
  readonly db: Database;
  /** Replaces the real one. */
  readonly dispatch?: Pick<Dispatch, 'command'>;
  /** The rest of the configuration, as YAML. */
  readonly yaml?: string;
  readonly events?: Partial<KafkaEvents>;
}

export async function openKafkaDoor({ config, db, events, ...rest }: DoorOptions): Promise<KafkaDoor> {
  const log: string[] = [];
  const stop = new AbortController();
  const logger = createLogger('debug', { write: (line) => log.push(line) });
  const dispatch = rest.dispatch ?? recordingDispatch(await testConfig({}, rest.yaml), db, logger);
  const kafka = await openKafka({ config, group: 'consumer', random: Math.random });
  const done = runConsumer({
    ...{ config, kafka, db, dispatch, logger, random: Math.random, signal: stop.signal },
    events: { ...silentKafkaEvents, ...events },
  });
  // If a consumer fails before its stop, the test that stops it fails.
  done.catch(() => undefined);
  return {
    log,
    stop: () => {
      stop.abort();
      return done;
    },
  };
}

/** Records runs and submits none. */
export function recordingDispatch(config: Config, db: Database, logger: Logger): Dispatch {
  return createDispatch({
    ...{ db, disabled: false, submitter: undefined, clock: systemClock, timer: systemTimer, newId: randomUUID, logger },
    ...{ rules: () => config, argo: config.argo, codex: config.codex },
    events: new DispatchEvents(() => config, logger),
    sessions: { rememberDispatch: async () => undefined },
    wakes: createAnnouncements(db, logger),
  });
}

/** A command event in JSON with its own id. */
export function good(id: string, partition: number): TestRecord {
  return { partition, value: Buffer.from(JSON.stringify({ command: 'plan', interactionId: id })) };
}

/** A command event without any identity. */
export function anonymous(partition: number, objective: string): TestRecord {
  return { partition, value: Buffer.from(JSON.stringify({ command: 'plan', options: { objective } })) };
}

/** A record that no door can read. */
export function poison(partition: number, text = '{"command":'): TestRecord {
  return { partition, value: Buffer.from(text) };
}

export interface Totals {
  readonly runs: number;
  readonly letters: number;
}

/** The number of runs and dead letters from Kafka. */
export async function totals(db: Queryable): Promise<Totals> {
  const { rows } = await db.query<Totals>({
    text: `SELECT (SELECT count(*)::int FROM facteur.runs WHERE door = 'kafka') AS runs,
      (SELECT count(*)::int FROM facteur.dead_letters WHERE door = 'kafka') AS letters`,
  });
  return rows[0]!;
}

/** Waits until the totals match. */
export async function expectTotals(db: Queryable, expected: Totals, timeoutMs = 90_000): Promise<void> {
  await expect.poll(() => totals(db), { timeout: timeoutMs, interval: 100 }).toEqual(expected);
}
