import type { KafkaError } from './errors.ts';

/** A header of a record: names may repeat, and values are bytes or null. */
export type KafkaHeader = readonly [name: string, value: Buffer | null];

/** One record as it was read. */
export interface ConsumedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** When it was produced, in milliseconds since 1970, according to the producer or the broker. */
  readonly timestampMs: number;
  readonly key: Buffer | null;
  /** null is a tombstone. */
  readonly value: Buffer | null;
  readonly headers: readonly KafkaHeader[];
  /**
   * Set if the record has too many headers, which are left out, or if its batch cannot be read. In that case the record stands
   * for all records of the batch, at the offset of the last one.
   */
  readonly unreadable?: KafkaError;
}

/** One record to be written. Without a key it goes to any partition. */
export interface OutgoingRecord {
  readonly topic: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly KafkaHeader[];
}
