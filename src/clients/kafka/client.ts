import type { KafkaConfig } from '../../config/config.ts';
import type { ConsumedRecord, OutgoingRecord } from './records.ts';

/** All Kafka operations that facteur uses. Every failure is a KafkaError. */
export interface KafkaClient {
  /**
   * Joins the group and runs `onPartition` for each assigned partition until the signal aborts. Then it waits for work in flight,
   * commits, leaves the group and resolves.
   *
   * Survives lost brokers once it has joined. Rejects when it cannot join, and when the membership is lost for good: call it
   * again.
   */
  consume(options: ConsumeOptions): Promise<void>;
  /** Durable on all in-sync replicas when it resolves. */
  produce(record: OutgoingRecord): Promise<void>;
  /** How many records are not handled yet, by partition; only our partitions. */
  lag(): ReadonlyMap<number, bigint>;
  /**
   * Whether we are in the group and the last fetches were answered: else the lag is unknown. Undefined while other members have
   * all partitions.
   */
  isUp(): boolean | undefined;
  /** Closes the connections that `produce` keeps open. */
  close(): Promise<void>;
}

export interface KafkaOptions {
  readonly config: KafkaConfig;
  /** The section of the configuration, for errors. */
  readonly group: 'consumer' | 'codex_listener';
  /** A number in [0, 1), to spread retries. */
  readonly random: () => number;
}

export interface ConsumeOptions {
  readonly topic: string;
  readonly groupId: string;
  /** Where to begin a partition for which the group never committed an offset. */
  readonly startAt: 'earliest' | 'latest';
  /** True reads every partition from its first record and commits nothing. */
  readonly fromBeginning?: boolean;
  /** The broker answers a fetch once it has this many bytes, or after `maxWaitMs`. */
  readonly minBytes: number;
  /** Bytes held in memory ahead of the readers; a partition without records may still fetch 256 KiB. */
  readonly maxBytes: number;
  readonly maxWaitMs: number;
  /** Reads one partition to its end. A rejection is a bug and ends the whole membership. */
  readonly onPartition: (reader: PartitionReader) => Promise<void>;
  readonly signal: AbortSignal;
  readonly events: ConsumeEvents;
}

/** Called on changes of the membership, for logs and metrics. None of these may throw. */
export interface ConsumeEvents {
  /** The partitions that are now assigned to us. */
  assigned(partitions: readonly number[]): void;
  /** Everything below `offset` is handled. */
  committed(partition: number, offset: bigint): void;
  /** Something failed and is retried: a fetch, a commit. */
  troubled(what: string, error: Error): void;
  /** The current offset no longer exists in the log: reading continues at `offset`, the log's beginning. */
  outOfRange(partition: number, offset: bigint): void;
}

/** One partition while it is assigned to this member. */
export interface PartitionReader {
  readonly topic: string;
  readonly partition: number;
  /** Aborted when the partition is revoked or the consumer stops: finish the current record, then return. */
  readonly signal: AbortSignal;
  /**
   * The next records in order; undefined when the partition is no longer assigned. Calling it means that the previous
   * records are handled. Not calling it pauses only this partition.
   */
  next(): Promise<readonly ConsumedRecord[] | undefined>;
  /** Everything below `offset` is handled: commits soon, in the background. */
  handled(offset: bigint): void;
}
