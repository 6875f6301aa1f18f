import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import {
  isRunning,
  killDaemon,
  serverDirectory,
  stopDaemon,
  type DaemonRecord,
} from '../../scripts/services/daemon.ts';
import { startBroker } from '../../scripts/services/kafka.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { FacteurProcess } from '../support/facteur-process.ts';
import { consumerConfig, TestKafka, type TestRecord } from '../support/kafka.ts';
import { anonymous, expectTotals, good, openKafkaDoor, poison, totals, type KafkaDoor } from '../support/kafka-door.ts';

let kafka: TestKafka;
let database: TestDatabase;
let doors: KafkaDoor[] = [];

beforeAll(() => {
  kafka = new TestKafka();
});
afterAll(() => kafka.close());
beforeEach(async () => {
  database = await createTestDatabase({ poolSize: 15 });
});
afterEach(async () => {
  await Promise.all(doors.map((door) => door.stop()));
  doors = [];
  await database.close();
});

async function stop(door: KafkaDoor): Promise<void> {
  doors = doors.filter((other) => other !== door);
  await door.stop();
}

/** Mixed, distinct records. One in twenty is poison. */
class Load {
  produced = 0;
  poisoned = 0;
  readonly #topic: string;
  readonly #partitions: number;
  readonly #to: TestKafka;

  constructor(to: TestKafka, topic: string, partitions: number) {
    this.#to = to;
    this.#topic = topic;
    this.#partitions = partitions;
  }

  async add(count: number): Promise<void> {
    const records = Array.from({ length: count }, () => this.#record());
    await this.#to.produce(this.#topic, records);
  }

  get expected(): { runs: number; letters: number } {
    return { runs: this.produced - this.poisoned, letters: this.poisoned };
  }

  #record(): TestRecord {
    const index = this.produced;
    this.produced += 1;
    const partition = index % this.#partitions;
    if (index % 20 === 13) {
      this.poisoned += 1;
      return poison(partition, `{"command":${index}`);
    }
    return index % 3 === 0 ? anonymous(partition, `o-${index}`) : good(`run-${index}`, partition);
  }
}

/** Adds to the load until the doors have reached the wanted state. */
async function loadUntil(load: Load, wanted: () => void): Promise<void> {
  await vi.waitFor(
    async () => {
      await load.add(60);
      wanted();
    },
    { interval: 200 },
  );
}

const PARTITIONS = 6;

/** How many partitions the door has, by its last log line. */
function assigned(door: KafkaDoor): number {
  const said = door.log.filter((line) => line.includes('partitions assigned')).at(-1);
  return said === undefined ? -1 : (JSON.parse(said) as { partitions: number[] }).partitions.length;
}

test('three consumers that join and leave under load: every record is one run or one dead letter', async () => {
  const topic = await kafka.createTopic(PARTITIONS);
  const load = new Load(kafka, topic, PARTITIONS);
  let retold = 0;
  let parked = 0;
  const open = async (): Promise<KafkaDoor> => {
    const door = await openKafkaDoor({
      config: consumerConfig(topic),
      db: database.db,
      events: {
        processed: ({ duplicate }) => (retold += duplicate ? 1 : 0),
        deadLettered: () => (parked += 1),
      },
    });
    doors.push(door);
    return door;
  };
  await load.add(200);
  const [first, second, third] = [await open(), await open(), await open()];
  const each = (wanted: KafkaDoor[], count: number) => () =>
    expect(wanted.map(assigned)).toEqual(wanted.map(() => count));
  await loadUntil(load, each([first, second, third], 2));
  await stop(second);
  await loadUntil(load, each([first, third], 3));
  const fourth = await open();
  await loadUntil(load, each([first, third, fourth], 2));
  await Promise.all([stop(first), load.add(500)]);
  await stop(third);
  await loadUntil(load, each([fourth], 6));
  await load.add(500);
  await expectTotals(database.db, load.expected);
  await stop(fourth);
  expect(await totals(database.db)).toEqual(load.expected);
  expect(await kafka.committed(topic, `${topic}-group`, PARTITIONS)).toEqual(await kafka.ends(topic));
  // Cooperative rebalancing: moved partitions were finished and committed first. Hardly any record is read twice.
  expect(retold + (parked - load.poisoned)).toBeLessThan(load.produced / 100);
}, 240_000);

test('killed consumers: another one processes their records', async () => {
  const topic = await kafka.createTopic(PARTITIONS);
  const load = new Load(kafka, topic, PARTITIONS);
  const config = consumerConfig(topic);
  const env = {
    FACTEUR_POSTGRES_DSN: database.dsn,
    FACTEUR_DISABLE_DISPATCHER: '1',
    FACTEUR_CONSUMER_ENABLED: 'true',
    FACTEUR_CONSUMER_BROKERS: config.brokers.join(','),
    FACTEUR_CONSUMER_TOPIC: topic,
    FACTEUR_CONSUMER_GROUP_ID: config.groupId,
  };
  const start = (): FacteurProcess => new FacteurProcess({ env, args: ['consume'] });
  await load.add(600);
  const victims = [start(), start()];
  try {
    await Promise.all(victims.map((victim) => victim.logs('partitions assigned')));
    await load.add(600);
    await expect.poll(async () => (await totals(database.db)).runs, { interval: 20 }).toBeGreaterThan(100);
    await Promise.all([load.add(600), ...victims.map((victim) => victim.kill())]);
    const heir = start();
    victims.push(heir);
    // The brokers take a while to drop the dead members, and longer if they died in the middle of a rebalance.
    await expectTotals(database.db, load.expected, 120_000);
    expect(await heir.stop()).toEqual({ code: 0, signal: null });
    expect(await kafka.committed(topic, config.groupId, PARTITIONS)).toEqual(await kafka.ends(topic));
  } finally {
    await Promise.all(victims.filter((process) => process.isRunning).map((process) => process.kill()));
  }
}, 240_000);

test('survives a broker that starts late, is killed and restarts', async () => {
  const cache = join(import.meta.dirname, '..', '..', '.services', 'cache');
  mkdirSync(cache, { recursive: true });
  const directory = serverDirectory('kafka', undefined);
  const context = { cache, say: () => undefined };
  let broker: DaemonRecord | undefined;
  const start = async (): Promise<string> => {
    const started = await startBroker(context, directory);
    [broker] = started.daemons;
    return started.value;
  };
  const kill = async (): Promise<void> => {
    await killDaemon(broker!);
    expect(isRunning(broker!)).toBe(false);
  };
  const address = await start();
  const own = new TestKafka(address);
  try {
    const topic = await own.createTopic(3);
    const load = new Load(own, topic, 3);
    await load.add(300);
    await kill();

    const config = consumerConfig(topic, { brokers: [address] });
    const door = await openKafkaDoor({ config, db: database.db });
    doors.push(door);
    const saidSo = (): boolean => door.log.some((line) => line.includes('kafka is not ready yet; waiting for it'));
    await expect.poll(saidSo).toBe(true);
    await start();
    await expectTotals(database.db, load.expected);

    await load.add(3_000);
    await expect.poll(async () => (await totals(database.db)).runs).toBeGreaterThan(400);
    await kill();
    const troubled = (): boolean => door.log.some((line) => line.includes('kafka failed; retrying'));
    await expect.poll(troubled).toBe(true);
    await start();
    await own.untilServed(topic);
    await load.add(300);
    await expectTotals(database.db, load.expected);
    await stop(door);
    // A batch that was in flight when the broker died may have been stored twice.
    expect(await own.committed(topic, config.groupId, 3)).toEqual(await own.ends(topic));
  } finally {
    await own.close();
    await stopDaemon(broker!);
  }
}, 240_000);
