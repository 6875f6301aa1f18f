import type { Consumer } from '@platformatic/kafka';
import type { ConsumeOptions } from './client.ts';
import { Commits } from './commits.ts';
import { toKafkaError } from './errors.ts';
import { FetchLoop } from './fetch-loop.ts';
import type { Fetcher } from './fetcher.ts';
import { PartitionQueue } from './partition-queue.ts';
import { beginnings, startOffsets, type OffsetSource } from './start-offsets.ts';

/** How long a revoked partition, or a stop, waits for the current record, in milliseconds. */
const DRAIN_MS = 15_000;
/** How long leaving the group may take before the connections are simply cut. */
const LEAVE_MS = 5_000;

interface Partition {
  readonly queue: PartitionQueue;
  /** Resolves when its reader has returned. */
  readonly done: Promise<void>;
}

interface SessionParts {
  /** The member of the group: heartbeats and commits, on connections of its own. */
  readonly member: Consumer;
  /** Looks up brokers and offsets. */
  readonly reader: Consumer;
  /** Fetches on connections of its own, which wait for records. */
  readonly fetcher: Fetcher;
  readonly random: () => number;
}

/**
 * One membership of a group from joining to leaving. Rebalances are cooperative: a partition that stays is never interrupted, and
 * a revoked one is finished and committed before its next owner gets it.
 */
export class GroupSession {
  readonly #options: ConsumeOptions;
  readonly #member: Consumer;
  readonly #reader: Consumer;
  readonly #fetcher: Fetcher;
  readonly #commits: Commits;
  readonly #fetches: FetchLoop;
  readonly #partitions = new Map<number, Partition>();
  readonly #ended = Promise.withResolvers<void>();
  #isMember = false;
  #stopping = false;
  #releasing = false;
  #partitionCount: number | undefined;
  #settling: Promise<void> = Promise.resolve();

  constructor(options: ConsumeOptions, { member, reader, fetcher, random }: SessionParts) {
    const { topic, events } = options;
    this.#options = options;
    this.#member = member;
    this.#reader = reader;
    this.#fetcher = fetcher;
    this.#commits = new Commits(member, topic, {
      committed: (partition, offset) => events.committed(partition, offset),
      troubled: (error) => events.troubled('commit', error),
      random,
    });
    this.#fetches = new FetchLoop({ reader, fetcher }, topic, options, {
      queues: () => this.#queues(),
      random,
      troubled: (error) => events.troubled('fetch', error),
      partitionCount: (count) => this.#noticePartitions(count),
      outOfRange: (queue) => this.#skipToLog(queue),
      topicReplaced: () => this.#settle(() => this.#beginAnew()),
    });
  }

  /** Resolves when the signal stopped it; rejects with a KafkaError when the membership is lost. */
  async run(): Promise<void> {
    const stop = (): void => this.#ended.resolve();
    this.#options.signal.addEventListener('abort', stop, { once: true });
    if (this.#options.signal.aborted) {
      stop();
    }
    this.#listen();
    const fetching = this.#fetches.run();
    try {
      await Promise.race([this.#join(), this.#ended.promise]);
      await this.#ended.promise;
    } catch (error) {
      throw error instanceof ReaderFault ? error.cause : toKafkaError(error);
    } finally {
      this.#options.signal.removeEventListener('abort', stop);
      await this.#leave();
      await fetching;
    }
  }

  get isUp(): boolean | undefined {
    const queues = this.#queues();
    if (queues.length === 0) {
      return this.#isMember ? undefined : false;
    }
    return queues.every(({ isRead }) => isRead);
  }

  /** Unhandled records by partition. */
  lag(): Map<number, bigint> {
    return new Map(this.#queues().map((queue) => [queue.partition, queue.lag]));
  }

  /**
   * Runs before every JoinGroup, including one that gives partitions away: finishes and commits partitions that are no longer
   * assigned. The next owner begins where we stopped.
   */
  async beforeJoin(): Promise<void> {
    // A failing commit makes the library rejoin, which calls this again.
    if (this.#releasing) {
      return;
    }
    this.#releasing = true;
    try {
      const kept = this.#assigned();
      const lost = [...this.#partitions.values()].filter(({ queue }) => !kept.has(queue.partition));
      await this.#release(lost, kept.size > 0);
    } finally {
      this.#releasing = false;
    }
  }

  async #join(): Promise<void> {
    this.#member.topics.track(this.#options.topic);
    this.#reader.topics.track(this.#options.topic);
    await this.#member.joinGroup({});
  }

  #listen(): void {
    const broken = (error: unknown): void => this.#ended.reject(error);
    this.#member.on('consumer:group:join', () => this.#settle(() => this.#takeAssigned()));
    this.#member.on('consumer:heartbeat:stalled', ({ lastError }) => {
      broken(lastError ?? new Error('the group coordinator does not answer'));
    });
    this.#member.on('error', broken);
    this.#reader.on('error', broken);
    // The rejection is handled after joining, which may be later.
    this.#ended.promise.catch(() => undefined);
  }

  /** Aligns the running readers with the assigned partitions, one change after the other. */
  #settle(change: () => Promise<void>): void {
    this.#settling = this.#settling.then(change).catch((error: unknown) => this.#ended.reject(error));
  }

  /** Starts over after the topic was recreated: positions of the old one are meaningless. */
  async #beginAnew(): Promise<void> {
    const old = [...this.#partitions.values()];
    await this.#release(old, false);
    const assigned = old.map(({ queue }) => queue.partition).filter((partition) => this.#assigned().has(partition));
    for (const [partition, offset] of await beginnings(this.#source(), assigned)) {
      this.#options.events.outOfRange(partition, offset);
      this.#open(partition, offset);
    }
    this.#fetches.wake();
  }

  async #takeAssigned(): Promise<void> {
    const fresh = [...this.#assigned()].filter((partition) => !this.#partitions.has(partition));
    const starts = fresh.length === 0 ? new Map<number, bigint>() : await startOffsets(this.#source(), fresh);
    const assigned = this.#assigned();
    for (const [partition, offset] of starts) {
      this.#open(partition, offset);
    }
    this.#isMember = true;
    this.#options.events.assigned([...assigned].toSorted((a, b) => a - b));
    this.#fetches.wake();
  }

  #open(partition: number, offset: bigint): void {
    // It may have been revoked while its offset was looked up.
    if (this.#stopping || !this.#assigned().has(partition)) {
      return;
    }
    const queue = new PartitionQueue(
      { topic: this.#options.topic, partition, offset },
      {
        onRoom: () => this.#fetches.wake(),
        onHandled: (handled) => {
          // A reader that outlived its assignment must not commit for the current one.
          if (this.#options.fromBeginning !== true && this.#partitions.get(partition)?.queue === queue) {
            this.#commits.add(partition, handled);
          }
        },
      },
    );
    this.#commits.own(partition);
    const done = this.#options.onPartition(queue).catch((error: unknown) => {
      this.#ended.reject(new ReaderFault('a reader failed', { cause: error }));
    });
    this.#partitions.set(partition, { queue, done });
  }

  async #skipToLog(queue: PartitionQueue): Promise<void> {
    const offset = (await beginnings(this.#source(), [queue.partition])).get(queue.partition) ?? 0n;
    this.#options.events.outOfRange(queue.partition, offset);
    queue.seek(offset);
  }

  /** New partitions of a topic are assigned only after a rebalance is requested. */
  #noticePartitions(count: number): void {
    this.#partitionCount ??= count;
    if (count > this.#partitionCount && this.#member.isActive()) {
      this.#partitionCount = count;
      this.#member.joinGroup({}).catch((error: unknown) => this.#ended.reject(error));
    }
  }

  async #release(partitions: readonly Partition[], commit: boolean): Promise<void> {
    for (const { queue } of partitions) {
      queue.close();
    }
    await within(DRAIN_MS, Promise.all(partitions.map(({ done }) => done)));
    if (commit && partitions.length > 0) {
      await within(LEAVE_MS, this.#commits.flush());
    }
    for (const { queue } of partitions) {
      this.#commits.disown(queue.partition);
      this.#partitions.delete(queue.partition);
    }
  }

  async #leave(): Promise<void> {
    this.#stopping = true;
    this.#fetches.stop();
    await this.#release([...this.#partitions.values()], true);
    this.#commits.stop();
    await within(
      LEAVE_MS,
      Promise.allSettled([this.#member.close(true), this.#reader.close(true), this.#fetcher.close()]),
    );
  }

  #source(): OffsetSource {
    return { member: this.#member, reader: this.#reader, options: this.#options };
  }

  #assigned(): ReadonlySet<number> {
    const ours = this.#member.assignments?.find(({ topic }) => topic === this.#options.topic);
    return new Set(ours?.partitions);
  }

  #queues(): PartitionQueue[] {
    return [...this.#partitions.values()].map(({ queue }) => queue);
  }
}

/** Wraps an error of a reader, which is not an error of Kafka. */
class ReaderFault extends Error {}

/** Waits for the work up to a limit; after that it continues unobserved. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work, promise]);
  clearTimeout(timer);
}
