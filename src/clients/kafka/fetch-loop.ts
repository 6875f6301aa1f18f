import type { Consumer } from '@platformatic/kafka';
import { setTimeout as pause } from 'node:timers/promises';
import { backoffMs } from '../../base/backoff.ts';
import { toKafkaError, type KafkaError } from './errors.ts';
import { readPartition, type FetchAnswer, type FetchedPartition } from './fetched.ts';
import type { PartitionQueue } from './partition-queue.ts';

interface FetchLimits {
  readonly minBytes: number;
  /** Limit for all partitions together, besides the one fetch that each may always hold. */
  readonly maxBytes: number;
  readonly maxWaitMs: number;
}

interface FetchHooks {
  /** The partitions that are ours now. */
  queues(): Iterable<PartitionQueue>;
  random(): number;
  troubled(error: KafkaError): void;
  /** How many partitions the topic has, whenever that was looked up. */
  partitionCount(count: number): void;
  /** The topic was recreated under the same name, so all offsets are meaningless. */
  topicReplaced(): void;
  /** The log has no record at the offset of this partition. */
  outOfRange(queue: PartitionQueue): Promise<void>;
}

/** The most that one fetch brings for one partition: a few hundred commands, and little memory. */
const PARTITION_BYTES = 256 * 1024;

/**
 * A broker answers one request of a connection at a time: while a full partition waits for its next fetch, keep
 * fetches short.
 */
const SHORT_WAIT_MS = 100;

const BACKOFF = { firstMs: 200, maxMs: 5_000 };

/** An invalid epoch: the library's fetch sessions start again with it. */
const ANY_EPOCH = -1;

/**
 * Keeps the queues filled: one fetch at a time per broker, for its partitions that have room, while all partitions
 * together hold less than the limit. A failed fetch is retried forever, without stopping anything else.
 */
export class FetchLoop {
  readonly #reader: Consumer;
  readonly #topic: string;
  readonly #limits: FetchLimits;
  readonly #hooks: FetchHooks;
  readonly #busyNodes = new Set<number>();
  readonly #stop = new AbortController();
  #news = Promise.withResolvers<void>();
  #topicId: string | undefined;

  constructor(reader: Consumer, topic: string, limits: FetchLimits, hooks: FetchHooks) {
    this.#reader = reader;
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
        this.#hooks.troubled(toKafkaError(error));
        await this.#waitAfterFailure(failures);
        continue;
      }
      await this.#news.promise;
    }
  }

  async #startFetches(): Promise<void> {
    const full = this.#room() <= 0;
    // A partition without records may always fetch: paused partitions must not use up its share.
    const open = [...this.#hooks.queues()].filter((queue) => queue.wantsMore && !(full && queue.bytes > 0));
    if (open.length === 0) {
      return;
    }
    const metadata = await this.#reader.metadata({ topics: [this.#topic] });
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
    for (const [node, queues] of Map.groupBy(open, (queue) => topic.partitions[queue.partition]?.leader ?? -1)) {
      if (!this.#busyNodes.has(node)) {
        void this.#fetchFrom(node, topic.id, queues);
      }
    }
  }

  /** One fetch from one broker; never rejects. */
  async #fetchFrom(node: number, topicId: string, queues: readonly PartitionQueue[]): Promise<void> {
    this.#busyNodes.add(node);
    const positions = new Map(queues.map((queue) => [queue, queue.position]));
    try {
      const someWait = queues.length < [...this.#hooks.queues()].length;
      const answer = await this.#reader.fetch({
        node,
        minBytes: this.#limits.minBytes,
        maxBytes: Math.max(PARTITION_BYTES * queues.length, this.#room()),
        maxWaitTime: someWait ? Math.min(SHORT_WAIT_MS, this.#limits.maxWaitMs) : this.#limits.maxWaitMs,
        topics: [{ topicId, partitions: queues.map((queue) => wanted(queue)) }],
      });
      this.#hand(answer, positions);
    } catch (error) {
      await this.#afterFailure(error, queues);
    } finally {
      this.#busyNodes.delete(node);
      this.wake();
    }
  }

  /** Bytes that may still be fetched. */
  #room(): number {
    return [...this.#hooks.queues()].reduce((room, queue) => room - queue.bytes, this.#limits.maxBytes);
  }

  #hand(answer: FetchAnswer, positions: ReadonlyMap<PartitionQueue, bigint>): void {
    const partitions = new Map(partitionsOf(answer).map((fetched) => [fetched.partitionIndex, fetched]));
    for (const [queue, from] of positions) {
      const fetched = partitions.get(queue.partition);
      if (fetched !== undefined) {
        queue.push(from, readPartition(this.#topic, from, fetched));
      }
    }
  }

  async #afterFailure(error: unknown, queues: readonly PartitionQueue[]): Promise<void> {
    if (this.#stop.signal.aborted) {
      return;
    }
    try {
      const lost = outOfRange(error);
      for (const queue of queues.filter(({ partition }) => lost.has(partition))) {
        await this.#hooks.outOfRange(queue);
      }
      if (lost.size > 0) {
        return;
      }
      // Who leads what may be why.
      this.#reader.clearMetadata();
      this.#hooks.troubled(toKafkaError(error));
    } catch (second) {
      this.#hooks.troubled(toKafkaError(second));
    }
    await this.#waitAfterFailure(2);
  }

  async #waitAfterFailure(failures: number): Promise<void> {
    const waiting = pause(backoffMs(failures, BACKOFF, this.#hooks.random()), undefined, { signal: this.#stop.signal });
    // Only `stop` ends it early, and the waiting code checks that next.
    await waiting.catch(() => undefined);
  }
}

function wanted(queue: PartitionQueue) {
  return {
    partition: queue.partition,
    fetchOffset: queue.position,
    partitionMaxBytes: PARTITION_BYTES,
    currentLeaderEpoch: ANY_EPOCH,
    lastFetchedEpoch: ANY_EPOCH,
  };
}

/** Only one topic was requested, so every answer is about it. */
function partitionsOf(answer: FetchAnswer): FetchedPartition[] {
  return answer.responses.flatMap(({ partitions }) => partitions);
}

/** The partitions that a failed fetch calls out of range. The library fails the whole answer when one partition does. */
function outOfRange(error: unknown): Set<number> {
  const answer =
    error instanceof Error && 'response' in error ? (error.response as FetchAnswer | undefined) : undefined;
  const codes =
    answer === undefined ? [] : partitionsOf(answer).filter(({ errorCode }) => errorCode === OFFSET_OUT_OF_RANGE);
  return new Set(codes.map(({ partitionIndex }) => partitionIndex));
}

/** The protocol's number for it. */
const OFFSET_OUT_OF_RANGE = 1;
