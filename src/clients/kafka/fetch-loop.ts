import { type Broker, type Consumer, ProtocolError } from '@platformatic/kafka';
import { setTimeout as pause } from 'node:timers/promises';
import { backoffMs } from '../../base/backoff.ts';
import { KafkaError, toKafkaError } from './errors.ts';
import { readPartition, type ReadLimits } from './fetched.ts';
import { type FetchedPartition, type Fetcher, speaksFetch } from './fetcher.ts';
import type { FetchedBatch, PartitionQueue } from './partition-queue.ts';

interface FetchLimits {
  readonly minBytes: number;
  /** Limit for all partitions together, besides the one fetch that each may always hold. */
  readonly maxBytes: number;
  readonly maxWaitMs: number;
}

interface FetchSource {
  /** Looks up the brokers. */
  readonly reader: Consumer;
  readonly fetcher: Fetcher;
}

interface FetchHooks {
  /** The partitions that are now assigned to us. */
  queues(): Iterable<PartitionQueue>;
  random(): number;
  troubled(error: KafkaError): void;
  /** Called with the topic's number of partitions on every lookup. */
  partitionCount(count: number): void;
  /** The topic was recreated under the same name, so all offsets are meaningless. */
  topicReplaced(): void;
  /** The log has no record at the offset of this partition. */
  outOfRange(queue: PartitionQueue): Promise<void>;
}

/** Maximum size of one fetch for one partition: a few hundred commands, and little memory. */
const PARTITION_BYTES = 256 * 1024;

/** Maximum size of such a fetch in memory, if there is room: compressed records grow. */
const ANSWER_BYTES = 2 ** 20;

/** Every batch may grow to this size when decompressed; `maxBytes` may allow more. Producers batch about a megabyte. */
const BATCH_BYTES = 4 * 2 ** 20;

/** A broker answers a connection's requests one by one: keep fetches short while a full partition waits for its next one. */
const SHORT_WAIT_MS = 100;

const BACKOFF = { firstMs: 200, maxMs: 5_000 };

/**
 * Keeps the queues filled: one fetch at a time per broker, for its partitions that have room, while all partitions
 * together hold less than the limit. A failed fetch is retried forever, without stopping anything else.
 */
export class FetchLoop {
  readonly #reader: Consumer;
  readonly #fetcher: Fetcher;
  readonly #topic: string;
  readonly #limits: FetchLimits;
  readonly #hooks: FetchHooks;
  readonly #busyNodes = new Set<number>();
  /** When each partition last had records, as a sequence number. */
  readonly #fed = new WeakMap<PartitionQueue, number>();
  #feeds = 0;
  readonly #stop = new AbortController();
  #news = Promise.withResolvers<void>();
  #topicId: string | undefined;
  #isBrokerKnown = false;
  /** The leaders of partitions may have changed. */
  #isStale = false;

  constructor({ reader, fetcher }: FetchSource, topic: string, limits: FetchLimits, hooks: FetchHooks) {
    this.#reader = reader;
    this.#fetcher = fetcher;
    this.#topic = topic;
    this.#limits = limits;
    this.#hooks = hooks;
  }

  /** Requests a fetch: there is room, or the partitions changed. */
  wake(): void {
    this.#news.resolve();
  }

  stop(): void {
    this.#stop.abort();
    this.wake();
  }

  /** Resolves after `stop`. */
  async run(): Promise<void> {
    for (let failures = 0; !this.#stop.signal.aborted;) {
      this.#news = Promise.withResolvers();
      try {
        await this.#startFetches();
        failures = 0;
      } catch (error) {
        failures += 1;
        mark(this.#open(), false);
        this.#hooks.troubled(toKafkaError(error));
        await this.#waitAfterFailure(failures);
        continue;
      }
      await this.#news.promise;
    }
  }

  async #startFetches(): Promise<void> {
    const open = this.#open();
    if (open.length === 0) {
      return;
    }
    await this.#knowBroker();
    // Forced, not cleared first: the known brokers may be the only ones that answer if the configured ones are gone.
    const metadata = await this.#reader.metadata({ topics: [this.#topic], forceUpdate: this.#isStale });
    this.#isStale = false;
    const topic = metadata.topics.get(this.#topic);
    if (topic === undefined) {
      throw new Error('the brokers returned no metadata of the topic');
    }
    if (this.#topicId !== undefined && this.#topicId !== topic.id) {
      this.#topicId = topic.id;
      this.#hooks.topicReplaced();
      return;
    }
    this.#topicId = topic.id;
    this.#hooks.partitionCount(topic.partitionsCount);
    for (const [node, queues] of Map.groupBy(open, (queue) => topic.partitions[queue.partition]?.leader ?? NO_NODE)) {
      if (!this.#busyNodes.has(node)) {
        // Only the first partition with records gets a batch that is larger than requested.
        const inTurn = queues.toSorted((a, b) => (this.#fed.get(a) ?? 0) - (this.#fed.get(b) ?? 0));
        void this.#fetchFrom({ node, broker: metadata.brokers.get(node), topicId: topic.id }, inTurn);
      }
    }
  }

  async #knowBroker(): Promise<void> {
    if (!this.#isBrokerKnown && !speaksFetch(await this.#reader.listApis())) {
      throw new KafkaError('kafka.unavailable', 'kafka is not available: the broker is older than Kafka 3.1');
    }
    this.#isBrokerKnown = true;
  }

  /** The partitions that may fetch. One without records in memory always may: paused partitions must not use up its share. */
  #open(): PartitionQueue[] {
    const room = this.#room();
    return [...this.#hooks.queues()].filter(
      (queue) =>
        queue.wantsMore &&
        (room > 0 || queue.bytes === 0) &&
        (queue.needs <= Math.max(room, PARTITION_BYTES) || this.#mayExceed(queue)),
    );
  }

  /** One fetch from one broker; never rejects. */
  async #fetchFrom({ node, broker, topicId }: FetchTarget, queues: readonly PartitionQueue[]): Promise<void> {
    this.#busyNodes.add(node);
    const positions = new Map(queues.map((queue) => [queue.partition, queue.position]));
    try {
      if (broker === undefined) {
        throw new Error('a partition has no leader');
      }
      const someWait = queues.length < [...this.#hooks.queues()].length;
      const answer = await this.#fetcher.fetch(broker, {
        minBytes: this.#limits.minBytes,
        maxBytes: Math.max(PARTITION_BYTES * queues.length, this.#room()),
        maxWaitMs: someWait ? Math.min(SHORT_WAIT_MS, this.#limits.maxWaitMs) : this.#limits.maxWaitMs,
        ...{ topicId, from: positions, partitionBytes: PARTITION_BYTES },
      });
      await this.#hand(answer, queues, positions);
      mark(queues, true);
    } catch (error) {
      mark(queues, false);
      await this.#afterFailure(error);
    } finally {
      this.#busyNodes.delete(node);
      this.wake();
    }
  }

  /** Bytes that may still be fetched. */
  #room(): number {
    return [...this.#hooks.queues()].reduce((room, queue) => room - queue.bytes, this.#limits.maxBytes);
  }

  /**
   * Whether a queue may take its next record even without room: partitions do not wait for each other, but only one such record
   * at a time may exceed the common limit.
   */
  #mayExceed(queue: PartitionQueue): boolean {
    return queue.bytes === 0 && this.#room() + PARTITION_BYTES * [...this.#hooks.queues()].length > 0;
  }

  /** Hands out the records of all partitions, then throws the first error of one. */
  async #hand(
    answer: readonly FetchedPartition[],
    queues: readonly PartitionQueue[],
    positions: ReadonlyMap<number, bigint>,
  ): Promise<void> {
    const fetched = new Map(answer.map((one) => [one.partition, one]));
    const failures: unknown[] = [];
    for (const queue of queues) {
      const [from, part] = [positions.get(queue.partition), fetched.get(queue.partition)];
      if (from !== undefined && part !== undefined) {
        await this.#handOne(part, queue, from).catch((error: unknown) => failures.push(error));
      }
    }
    if (failures.length > 0) {
      throw failures[0];
    }
  }

  async #handOne(part: FetchedPartition, queue: PartitionQueue, from: bigint): Promise<void> {
    if (part.errorCode === OFFSET_OUT_OF_RANGE) {
      await this.#hooks.outOfRange(queue);
    } else if (part.errorCode === NO_ERROR) {
      this.#feed(queue, from, readPartition(this.#topic, from, part, this.#readLimits(queue)));
    } else {
      throw new ProtocolError(part.errorCode);
    }
  }

  #feed(queue: PartitionQueue, from: bigint, batch: FetchedBatch): void {
    queue.push(from, batch);
    if (batch.records.length > 0) {
      this.#feeds += 1;
      this.#fed.set(queue, this.#feeds);
    }
  }

  #readLimits(queue: PartitionQueue): ReadLimits {
    const room = this.#room();
    return {
      bytes: Math.max(PARTITION_BYTES, Math.min(room, Math.max(queue.needs, ANSWER_BYTES))),
      atLeastOne: this.#mayExceed(queue),
      batchBytes: Math.max(this.#limits.maxBytes, BATCH_BYTES),
    };
  }

  async #afterFailure(error: unknown): Promise<void> {
    if (this.#stop.signal.aborted) {
      return;
    }
    // Who leads what may be why.
    this.#isStale = true;
    this.#hooks.troubled(toKafkaError(error));
    await this.#waitAfterFailure(2);
  }

  async #waitAfterFailure(failures: number): Promise<void> {
    const waiting = pause(backoffMs(failures, BACKOFF, this.#hooks.random()), undefined, { signal: this.#stop.signal });
    // Only `stop` ends the wait early, and the caller checks for that next.
    await waiting.catch(() => undefined);
  }
}

interface FetchTarget {
  readonly node: number;
  readonly broker: Broker | undefined;
  readonly topicId: string;
}

/** Per queue: other brokers may answer while one does not. */
function mark(queues: Iterable<PartitionQueue>, isRead: boolean): void {
  for (const queue of queues) {
    queue.isRead = isRead;
  }
}

/** Stands for a missing leader. */
const NO_NODE = -1;

/** The protocol's error codes. */
const NO_ERROR = 0;
const OFFSET_OUT_OF_RANGE = 1;
