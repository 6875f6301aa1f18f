import type { KafkaConfig } from '../../config/config.ts';
import type { ConsumedRecord, OutgoingRecord } from './records.ts';

/** What facteur asks of Kafka. Every failure is a KafkaError. */
export interface KafkaClient {
  /**
   * Joins the group and runs `onPartition` for each partition for as long as it is ours, until the signal aborts. Then
   * it waits for what is in flight, commits, leaves the group and resolves.
   *
   * Rides out lost brokers by itself once it has joined. Rejects when it cannot join, and when the membership breaks in
   * a way that only a new one mends: try again.
   */
  consume(options: ConsumeOptions): Promise<void>;
  /** Durable on all in-sync replicas when it resolves. */
  produce(record: OutgoingRecord): Promise<void>;
  /** How many records each of our partitions has that are not handled yet, by partition. */
  lag(): ReadonlyMap<number, bigint>;
  /** Ends what `produce` keeps open. */
  close(): Promise<void>;
}

export interface KafkaOptions {
  readonly config: KafkaConfig;
  /** A number in [0, 1), to spread what is tried again. */
  readonly random: () => number;
}

export interface ConsumeOptions {
  readonly topic: string;
  readonly groupId: string;
  /** Where a partition begins for which the group never committed anything. */
  readonly startAt: 'earliest' | 'latest';
  /** True reads every partition from its first record, whatever was committed. */
  readonly fromBeginning?: boolean;
  /** A fetch is answered when there is this much, or after `maxWaitMs`. */
  readonly minBytes: number;
  /** What is held in memory ahead of the readers; a partition with nothing in hand may fetch 256 KiB all the same. */
  readonly maxBytes: number;
  readonly maxWaitMs: number;
  /** Reads one partition to its end. A rejection is a fault, and ends the whole membership. */
  readonly onPartition: (reader: PartitionReader) => Promise<void>;
  readonly signal: AbortSignal;
  readonly observe: ConsumeObserver;
}

/** Told what happens to the membership: for logs and metrics. None of these may throw. */
export interface ConsumeObserver {
  /** The partitions that are ours now. */
  assigned(partitions: readonly number[]): void;
  /** Everything below `offset` is handled, for good. */
  committed(partition: number, offset: bigint): void;
  /** Something failed and is tried again: a fetch, a commit. */
  troubled(what: string, error: Error): void;
  /** Our place is no longer in the log, or in none that is still there: reading goes on at `offset`, the log's beginning. */
  outOfRange(partition: number, offset: bigint): void;
}

/** One partition while it is ours. */
export interface PartitionReader {
  readonly topic: string;
  readonly partition: number;
  /** Aborted when the partition is given away or the consumer stops: finish the record in hand, and return. */
  readonly signal: AbortSignal;
  /**
   * The next records in order; undefined when the partition is no longer ours. Calling it says that the ones before are
   * done with. Not calling it pauses this partition and no other.
   */
  next(): Promise<readonly ConsumedRecord[] | undefined>;
  /** Everything below `offset` is handled: commits soon, in the background. */
  handled(offset: bigint): void;
}
