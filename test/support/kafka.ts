import { Admin, Consumer, Producer } from '@platformatic/kafka';
import { randomUUID } from 'node:crypto';
import { vi } from 'vitest';
import type { ConsumerConfig, KafkaConfig } from '../../src/config/config.ts';
import { readPartition } from '../../src/clients/kafka/fetched.ts';
import { createFetcher, type Fetcher } from '../../src/clients/kafka/fetcher.ts';
import type { ConsumedRecord } from '../../src/clients/kafka/records.ts';
import { Secret } from '../../src/base/secret.ts';

/** A variable that `npm run test:services` sets. */
export function serviceVariable(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') {
    throw new Error(`${name} is not set: run these tests with "npm run test:services"`);
  }
  return value;
}

export function plainBroker(): KafkaConfig {
  return { brokers: [serviceVariable('FACTEUR_TEST_KAFKA_BROKERS')] };
}

/** The only user of the test broker. */
export function saslUser(): { username: string; password: Secret } {
  return {
    username: serviceVariable('FACTEUR_TEST_KAFKA_SASL_USERNAME'),
    password: new Secret(serviceVariable('FACTEUR_TEST_KAFKA_SASL_PASSWORD')),
  };
}

/** A consumer configuration with its own group. */
export function consumerConfig(topic: string, changes: Partial<ConsumerConfig> = {}): ConsumerConfig {
  return {
    ...plainBroker(),
    enabled: true,
    topic,
    groupId: `${topic}-group`,
    dlq: { enabled: false, topic: '' },
    maxAttempts: 5,
    minBytes: 1,
    maxBytes: 10 * 1024 * 1024,
    maxWaitMs: 500,
    ...changes,
  };
}

export interface TestRecord {
  readonly partition?: number;
  readonly key?: Buffer;
  readonly value?: Buffer;
  readonly headers?: readonly (readonly [string, string | Buffer | null])[];
}

/** A record read back by a test. */
export interface FoundRecord {
  readonly partition: number;
  readonly offset: bigint;
  readonly key: string | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string | null>>;
}

type TestProducer = Producer<Buffer, Buffer, Buffer, Buffer | null>;

/** Access to a broker for tests: creates topics, writes and reads records, moves offsets. */
export class TestKafka {
  readonly #base: { clientId: string; bootstrapBrokers: string[] };
  readonly #admin: Admin;
  readonly #producer: TestProducer;

  constructor(broker = serviceVariable('FACTEUR_TEST_KAFKA_BROKERS')) {
    this.#base = { clientId: 'facteur-test', bootstrapBrokers: [broker] };
    this.#admin = new Admin(this.#base);
    this.#producer = new Producer({ ...this.#base, acks: -1, retries: 20 });
  }

  async createTopic(partitions: number, settings: Readonly<Record<string, string>> = {}): Promise<string> {
    const topic = `facteur-${randomUUID()}`;
    const configs = Object.entries(settings).map(([name, value]) => ({ name, value }));
    await this.#admin.createTopics({ topics: [topic], partitions, replicas: 1, configs });
    await this.untilServed(topic);
    return topic;
  }

  /** Waits until all partitions are served: otherwise a send would be retried and duplicate records in the others. */
  async untilServed(topic: string): Promise<void> {
    const reader = new Consumer({ ...this.#base, groupId: topic, retries: 50, retryDelay: 50 });
    reader.topics.track(topic);
    await reader.listOffsets({ topics: [topic] });
    await reader.close();
  }

  async grow(topic: string, partitions: number): Promise<void> {
    await this.#admin.createPartitions({ topics: [{ name: topic, count: partitions, assignments: null }] });
    await this.untilServed(topic);
  }

  async produce(topic: string, records: readonly TestRecord[], options: { compression?: Compression } = {}) {
    for (let start = 0; start < records.length; start += 1000) {
      await this.#producer.send({ ...options, messages: messagesOf(topic, records.slice(start, start + 1000)) });
    }
  }

  /** Transactions of one producer, one after the other. Every record is its own batch. */
  async produceInTransactions(
    topic: string,
    transactions: readonly (readonly [end: 'commit' | 'abort', records: readonly TestRecord[]])[],
  ): Promise<void> {
    const producer: TestProducer = new Producer({
      ...this.#base,
      idempotent: true,
      transactionalId: randomUUID(),
      acks: -1,
    });
    for (const [end, records] of transactions) {
      const transaction = await producer.beginTransaction();
      for (const record of records) {
        await transaction.send({ messages: messagesOf(topic, [record]) });
      }
      await transaction[end]();
    }
    await producer.close();
  }

  async delete(topic: string): Promise<void> {
    await this.#admin.deleteTopics({ topics: [topic] });
  }

  /** Creates another topic with the same name. */
  async recreate(topic: string, partitions: number): Promise<void> {
    await this.delete(topic);
    // Deleting continues after the answer.
    await vi.waitFor(() => this.#admin.createTopics({ topics: [topic], partitions, replicas: 1 }));
    await this.untilServed(topic);
  }

  /** The committed offsets of a group, by partition; -1 if it never committed. */
  async committed(topic: string, group: string, partitions: number): Promise<bigint[]> {
    const [found] = await this.#admin.listConsumerGroupOffsets({
      groups: [{ groupId: group, topics: [{ name: topic, partitionIndexes: [...Array(partitions).keys()] }] }],
    });
    const offsets = found?.topics.find(({ name }) => name === topic)?.partitions ?? [];
    return offsets
      .toSorted((a, b) => a.partitionIndex - b.partitionIndex)
      .map(({ committedOffset }) => committedOffset);
  }

  /** Moves the offsets of a group without members. */
  async rewind(topic: string, group: string, offsets: readonly bigint[]): Promise<void> {
    const partitionOffsets = offsets.map((offset, partition) => ({ partition, offset }));
    await this.#admin.alterConsumerGroupOffsets({ groupId: group, topics: [{ name: topic, partitionOffsets }] });
  }

  /** The offset after the last record, by partition. */
  async ends(topic: string): Promise<bigint[]> {
    return this.#reading(topic, async (reader) => (await reader.listOffsets({ topics: [topic] })).get(topic) ?? []);
  }

  /** All records of the topic. */
  async readAll(topic: string): Promise<FoundRecord[]> {
    const ends = await this.ends(topic);
    const fetcher = createFetcher({ clientId: this.#base.clientId, requestTimeout: 10_000 });
    const all = await this.#reading(topic, async (reader) => {
      const found: FoundRecord[] = [];
      for (const [partition, end] of ends.entries()) {
        for (let at = 0n; at < end;) {
          const { records, next } = await fetchSome(reader, fetcher, { topic, partition, at });
          found.push(...records.map(readable));
          at = next;
        }
      }
      return found;
    });
    await fetcher.close();
    return all;
  }

  async #reading<T>(topic: string, work: (reader: Consumer) => Promise<T>): Promise<T> {
    const reader = new Consumer({ ...this.#base, groupId: `facteur-test-${randomUUID()}` });
    reader.topics.track(topic);
    try {
      return await work(reader);
    } finally {
      await reader.close();
    }
  }

  async close(): Promise<void> {
    await this.#producer.close();
    await this.#admin.close();
  }
}

type Compression = 'gzip' | 'snappy' | 'lz4' | 'zstd';

function messagesOf(topic: string, records: readonly TestRecord[]) {
  return records.map(({ headers = [], ...record }) => ({
    topic,
    ...record,
    headers: new Map(
      headers.map(([name, value]) => [Buffer.from(name), value === null ? null : Buffer.from(value as string)]),
    ),
  }));
}

interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly at: bigint;
}

async function fetchSome(reader: Consumer, fetcher: Fetcher, { topic, partition, at }: Place) {
  const { topics, brokers } = await reader.metadata({ topics: [topic] });
  const about = topics.get(topic)!;
  const [fetched] = await fetcher.fetch(brokers.get(about.partitions[partition]!.leader)!, {
    ...{ minBytes: 1, maxBytes: 1 << 20, partitionBytes: 1 << 20, maxWaitMs: 100 },
    ...{ topicId: about.id, from: new Map([[partition, at]]) },
  });
  const limits = { bytes: Infinity, atLeastOne: true, batchBytes: 1 << 30 };
  return fetched === undefined ? { records: [], next: at } : readPartition(topic, at, fetched, limits);
}

function readable({ partition, offset, key, value, headers }: ConsumedRecord): FoundRecord {
  return {
    ...{ partition, offset, value },
    key: key?.toString() ?? null,
    headers: Object.fromEntries(headers.map(([name, bytes]) => [name, bytes?.toString() ?? null])),
  };
}
