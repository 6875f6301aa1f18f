import type { PartitionReader } from './client.ts';
import type { ConsumedRecord } from './records.ts';

/** Records of one fetch, and how much memory they use. */
export interface FetchedBatch {
  readonly records: readonly ConsumedRecord[];
  readonly bytes: number;
  /** The offset to fetch next: after the fetched records, even if all of them were skipped. */
  readonly next: bigint;
  /** Bytes of the next record if there was no room for it, else 0. */
  readonly needs: number;
  /** The end of the partition's log. */
  readonly end: bigint;
}

/**
 * One partition between the fetch loop and its reader. At most two batches are in memory, the current one and the next, so a slow
 * or paused reader uses little memory and a fast one never waits.
 */
export class PartitionQueue implements PartitionReader {
  readonly topic: string;
  readonly partition: number;
  readonly #stop = new AbortController();
  /** Whether the last fetch for it was answered: else its lag is unknown. */
  isRead = false;
  readonly #hooks: QueueHooks;
  #position: bigint;
  #handled: bigint;
  /** The offset after the last record that the reader got. */
  #given: bigint;
  #end: bigint;
  #queued: readonly ConsumedRecord[] = [];
  #queuedBytes = 0;
  #takenBytes = 0;
  #needs = 0;
  #waiting: (() => void) | undefined;

  constructor(start: { topic: string; partition: number; offset: bigint }, hooks: QueueHooks) {
    this.topic = start.topic;
    this.partition = start.partition;
    this.#position = start.offset;
    this.#handled = start.offset;
    this.#given = start.offset;
    this.#end = start.offset;
    this.#hooks = hooks;
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** The offset to fetch next. */
  get position(): bigint {
    return this.#position;
  }

  /** Bytes in memory, including the reader's current batch. */
  get bytes(): number {
    return this.#queuedBytes + this.#takenBytes;
  }

  /** Bytes of room that its next record is known to need. */
  get needs(): number {
    return this.#needs;
  }

  get wantsMore(): boolean {
    return this.#queued.length === 0 && !this.#stop.signal.aborted;
  }

  /** Records that are in the log and not handled yet. */
  get lag(): bigint {
    return this.#end > this.#handled ? this.#end - this.#handled : 0n;
  }

  /** Takes the answer to a fetch. A late one, for another position or after the end, is dropped. */
  push(from: bigint, batch: FetchedBatch): void {
    if (from !== this.#position || this.#stop.signal.aborted) {
      return;
    }
    this.#end = batch.end;
    this.#position = batch.next;
    this.#needs = batch.needs;
    if (batch.records.length > 0) {
      this.#queued = batch.records;
      this.#queuedBytes = batch.bytes;
      this.#wake();
    }
    this.#passOver();
  }

  /** Continues at another offset, because the log has no record at the current one. */
  seek(offset: bigint): void {
    this.#position = offset;
    this.#handled = offset;
    this.#given = offset;
    this.#needs = 0;
  }

  async next(): Promise<readonly ConsumedRecord[] | undefined> {
    this.#takenBytes = 0;
    this.#passOver();
    while (this.#queued.length === 0) {
      if (this.#stop.signal.aborted) {
        return undefined;
      }
      const woken = Promise.withResolvers<void>();
      this.#waiting = woken.resolve;
      this.#hooks.onRoom();
      await woken.promise;
    }
    if (this.#stop.signal.aborted) {
      return undefined;
    }
    const records = this.#queued;
    this.#given = (records.at(-1)?.offset ?? this.#given) + 1n;
    this.#takenBytes = this.#queuedBytes;
    this.#queued = [];
    this.#queuedBytes = 0;
    this.#hooks.onRoom();
    return records;
  }

  handled(offset: bigint): void {
    if (offset > this.#handled) {
      this.#handled = offset;
      this.#hooks.onHandled(offset);
    }
  }

  /** Ends reading after the current record. */
  close(): void {
    this.#stop.abort();
    this.#wake();
  }

  /**
   * Entries of the log that are no records for us, such as the end of a transaction, are handled with the records before them:
   * else they would count as lag until the next record.
   */
  #passOver(): void {
    if (this.#queued.length === 0 && this.#handled >= this.#given) {
      this.handled(this.#position);
    }
  }

  #wake(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }
}

interface QueueHooks {
  /** Called when there is room for the next fetch. */
  onRoom(): void;
  onHandled(offset: bigint): void;
}
