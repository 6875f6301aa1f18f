import type { Counter } from '@opentelemetry/api';
import { errorMessage } from './errors.ts';
import type { Logger } from './logger.ts';
import { counter } from './metrics.ts';
import { outsideOfTraces } from './telemetry.ts';
import { MAX_TIMER_MS } from './timer.ts';

/** One pass of a worker. Returns the time until the next pass is due at the latest, in milliseconds; Infinity for never. */
type Pass = (signal: AbortSignal) => Promise<number>;

interface WorkerOptions {
  readonly name: string;
  readonly logger: Logger;
  readonly pass: Pass;
  /** Wait after a pass that threw, in milliseconds. */
  readonly failureDelayMs: number;
  /** Minimum time between two passes, in milliseconds, however often the worker is nudged; default none. */
  readonly spacingMs?: () => number;
}

/**
 * The lifecycle of every background worker: one pass at a time, woken by `nudge` or by time. `start` and `stop` may
 * be called in any order and repeatedly; `stop` waits for the current pass. A pass that throws is logged and retried:
 * one bad row never stops a worker.
 */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #failures: Counter;
  readonly #abort = new AbortController();
  /** Delayed nudges that are pending: an earlier pass must not drop them. */
  readonly #later = new Set<NodeJS.Timeout>();
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Infinity;
  #lastAt = -Infinity;
  #running: Promise<void> | undefined;
  #started = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#failures = counter('facteur_worker_failures_total', [{ worker: options.name }]);
  }

  /** @param delayMs how long the first pass waits, unless the worker is nudged */
  start(delayMs = 0): void {
    if (this.#started || this.#abort.signal.aborted) {
      return;
    }
    this.#started = true;
    this.nudge(delayMs);
  }

  /** Requests a pass now, or in `delayMs`; several requests may be pending. */
  nudge(delayMs = 0): void {
    if (!this.#started || this.#abort.signal.aborted) {
      return;
    }
    if (delayMs > 0) {
      const timer = setTimeout(
        () => {
          this.#later.delete(timer);
          this.nudge();
        },
        Math.min(delayMs, MAX_TIMER_MS),
      );
      this.#later.add(timer);
      return;
    }
    const now = performance.now();
    if (now >= this.#dueAt) {
      return;
    }
    this.#dueAt = now;
    if (this.#running === undefined) {
      this.#arm();
    }
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    clearTimeout(this.#timer);
    this.#later.forEach((timer) => clearTimeout(timer));
    await this.#running;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#dueAt === Infinity) {
      return;
    }
    const notBefore = this.#lastAt + (this.#options.spacingMs?.() ?? 0);
    this.#timer = setTimeout(
      () => {
        // The caller of `nudge` may be inside the trace of a request.
        this.#running = outsideOfTraces(() => this.#runOnce());
      },
      // A timer may be shorter than the delay: an early pass does no harm.
      Math.min(Math.max(0, Math.max(this.#dueAt, notBefore) - performance.now()), MAX_TIMER_MS),
    );
  }

  async #runOnce(): Promise<void> {
    this.#dueAt = Infinity;
    this.#lastAt = performance.now();
    let nextInMs = this.#options.failureDelayMs;
    try {
      nextInMs = await this.#options.pass(this.#abort.signal);
    } catch (error) {
      if (!this.#abort.signal.aborted) {
        this.#failures.add(1, { worker: this.#options.name });
        this.#options.logger.warn({ worker: this.#options.name, error: errorMessage(error) }, 'worker pass failed');
      }
    }
    this.#running = undefined;
    if (!this.#abort.signal.aborted) {
      this.#dueAt = Math.min(this.#dueAt, performance.now() + nextInMs);
      this.#arm();
    }
  }
}
