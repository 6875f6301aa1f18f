import type { Consumer } from '@platformatic/kafka';
import { backoffMs } from '../../base/backoff.ts';
import { toKafkaError, type KafkaError } from './errors.ts';

interface CommitHooks {
  committed(partition: number, offset: bigint): void;
  troubled(error: KafkaError): void;
  random(): number;
}

/** Commits are batched for this long: at most this much work is repeated after a crash, which is harmless. */
const GATHER_MS = 50;

/** Delay between failed commits: the library does not retry a denied one. */
const BACKOFF = { firstMs: 200, maxMs: 5_000 };

/** Commits the highest handled offset of each partition, in the background and one request at a time. */
export class Commits {
  readonly #member: Consumer;
  readonly #topic: string;
  readonly #hooks: CommitHooks;
  readonly #owned = new Set<number>();
  readonly #pending = new Map<number, bigint>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #failures = 0;

  constructor(member: Consumer, topic: string, hooks: CommitHooks) {
    this.#member = member;
    this.#topic = topic;
    this.#hooks = hooks;
  }

  /** We commit for this partition from now on. */
  own(partition: number): void {
    this.#owned.add(partition);
  }

  /** Another member commits for this partition now: our commit would move its offset back. */
  disown(partition: number): void {
    this.#owned.delete(partition);
    this.#pending.delete(partition);
  }

  /** Notes that everything below `offset` is handled. */
  add(partition: number, offset: bigint): void {
    if (this.#owned.has(partition)) {
      this.#pending.set(partition, offset);
      this.#arm(this.#failures === 0 ? GATHER_MS : backoffMs(this.#failures, BACKOFF, this.#hooks.random()));
    }
  }

  /** Commits pending offsets now. Never rejects: offsets that could not be committed stay pending. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#running !== undefined) {
      await this.#running;
    }
    if (this.#pending.size > 0) {
      this.#running = this.#commit([...this.#pending]);
      await this.#running;
      this.#running = undefined;
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  async #commit(offsets: readonly (readonly [number, bigint])[]): Promise<void> {
    this.#pending.clear();
    try {
      // The library retries for seconds before it gives up.
      await this.#member.commit({
        offsets: offsets.map(([partition, offset]) => ({ topic: this.#topic, partition, offset, leaderEpoch: -1 })),
      });
    } catch (error) {
      this.#failures += 1;
      for (const [partition, offset] of offsets) {
        this.add(partition, this.#pending.get(partition) ?? offset);
      }
      this.#hooks.troubled(toKafkaError(error));
      return;
    }
    this.#failures = 0;
    for (const [partition, offset] of offsets) {
      this.#hooks.committed(partition, offset);
    }
  }

  #arm(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      // During a rebalance a commit is refused and makes the library join again: wait until the rebalance is over.
      if (this.#member.isActive()) {
        void this.flush();
      } else {
        this.#arm(GATHER_MS);
      }
    }, delayMs);
  }
}
