/**
 * Throughput of the Kafka door, next to two limits from the same run: the same client reading without handling, and the ledger's
 * statement without Kafka (from pgbench and from Node), with as many clients as partitions. Needs a real broker and PostgreSQL:
 *
 *   FACTEUR_SERVICES=local node scripts/services.ts run -- node bench/kafka.ts
 *
 * BENCH_SECONDS (5) is the duration for the statement, BENCH_RECORDS (10000) the number of records in a topic.
 */
import { openKafka } from '../src/clients/kafka/open-kafka.ts';
import { recordRun } from '../src/ledger/record-run.ts';
import { openTestPostgres } from '../test/support/database.ts';
import { consumerConfig, plainBroker, TestKafka } from '../test/support/kafka.ts';
import { openKafkaDoor } from '../test/support/kafka-door.ts';
import { closedLoop } from './load.ts';
import { openBench } from './open-bench.ts';
import { recordByPgbench } from './pgbench.ts';
import { commandEvent, commandNewRun } from './requests.ts';
import type { Table } from './results.ts';

const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 5);
const RECORDS = Number(process.env['BENCH_RECORDS'] ?? 10_000);
const PARTITIONS = [1, 4, 16];

/** Records per second since the partitions were assigned, so that joining the group does not count. */
class Meter {
  readonly done = Promise.withResolvers<void>();
  #count = 0;
  #begun = 0;
  #last = 0;

  begin(): void {
    this.#begun = performance.now();
  }

  count(records: number): void {
    this.#last = performance.now();
    this.#count += records;
    if (this.#count >= RECORDS) {
      this.done.resolve();
    }
  }

  get perSecond(): number {
    return (this.#count * 1000) / (this.#last - this.#begun);
  }
}

const bench = await openBench(
  'kafka',
  `${RECORDS.toLocaleString('en')} records a topic, the statement for ${SECONDS} s`,
);
const { database } = bench;
const kafka = new TestKafka();
const direct = openTestPostgres(database.dsn, { poolSize: 16 });
await closedLoop(4, 2, async () => !(await recordRun(direct, { run: commandNewRun(), claim: true })).duplicate);

const rows: Table['rows'] = [];
for (const partitions of PARTITIONS) {
  const topic = await kafka.createTopic(partitions);
  await kafka.produce(
    topic,
    Array.from({ length: RECORDS }, (_, index) => ({
      partition: index % partitions,
      value: Buffer.from(commandEvent()),
      headers: [['content-type', 'application/x-protobuf']] as const,
    })),
  );
  const raw = await rawReading(topic);
  const pgbench = await recordByPgbench(database.dsn, partitions, SECONDS);
  const statement = await closedLoop(
    partitions,
    SECONDS,
    async () => !(await recordRun(direct, { run: commandNewRun(), claim: true })).duplicate,
  );
  const door = await throughTheDoor(topic);
  const perSecond = [raw, pgbench, statement.perSecond, door].map(Math.round);
  rows.push([partitions, ...perSecond, Number((door / pgbench).toFixed(2))]);
}
bench.report({
  door: {
    columns: [
      'partitions',
      'raw reading, records/s',
      'the statement by pgbench, /s',
      'by Node, /s',
      'the door, runs/s',
      'of pgbench',
    ],
    rows,
  },
});
await Promise.all([kafka.close(), direct.close()]);
await database.close();

async function rawReading(topic: string): Promise<number> {
  const client = await openKafka({ config: plainBroker(), group: 'consumer', random: Math.random });
  const meter = new Meter();
  const stop = new AbortController();
  const reading = client.consume({
    ...consumerConfig(topic, { groupId: `${topic}-raw` }),
    startAt: 'earliest',
    signal: stop.signal,
    events: {
      assigned: () => meter.begin(),
      committed: () => undefined,
      troubled: (what, error) => console.error(what, error.message),
      outOfRange: () => undefined,
    },
    onPartition: async (reader) => {
      for (let records = await reader.next(); records !== undefined; records = await reader.next()) {
        meter.count(records.length);
        reader.handled((records.at(-1)?.offset ?? 0n) + 1n);
      }
    },
  });
  await meter.done.promise;
  stop.abort();
  await reading;
  await client.close();
  return meter.perSecond;
}

async function throughTheDoor(topic: string): Promise<number> {
  const meter = new Meter();
  let begun = false;
  const door = await openKafkaDoor({
    config: consumerConfig(topic),
    db: direct,
    events: {
      processed: () => {
        if (!begun) {
          begun = true;
          meter.begin();
        }
        meter.count(1);
      },
    },
  });
  await meter.done.promise;
  await door.stop();
  return meter.perSecond;
}
