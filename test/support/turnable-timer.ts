import { vi } from 'vitest';
import type { Timer } from '../../src/base/timer.ts';

interface Sleeper {
  readonly untilMs: number;
  readonly wake: () => void;
}

/** A timer that only the test advances: nothing times out just because the machine is busy. */
export class TurnableTimer implements Timer {
  #nowMs = 0;
  readonly #sleepers = new Set<Sleeper>();

  elapsedMs(): number {
    return this.#nowMs;
  }

  /** How many calls are neither made nor cancelled. */
  get due(): number {
    return this.#sleepers.size;
  }

  after(ms: number, fire: () => void): () => void {
    const sleeper = { untilMs: this.#nowMs + ms, wake: fire };
    this.#sleepers.add(sleeper);
    return () => void this.#sleepers.delete(sleeper);
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    for (const sleeper of this.#sleepers) {
      if (sleeper.untilMs <= this.#nowMs) {
        this.#sleepers.delete(sleeper);
        sleeper.wake();
      }
    }
  }

  /** Lets time pass until `work` is done, if the exact time does not matter. */
  async until<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const settle = (): void => {
      done = true;
    };
    work.then(settle, settle);
    await vi.waitUntil(() => {
      if (!done) {
        this.advance(100);
      }
      return done;
    });
    return work;
  }

  /** Waits until at least this many sleepers would wake after `ms`, then lets that time pass. */
  async pass(ms: number, sleepers = 1): Promise<void> {
    const waking = (): number => [...this.#sleepers].filter(({ untilMs }) => untilMs <= this.#nowMs + ms).length;
    await vi.waitUntil(() => waking() >= sleepers);
    this.advance(ms);
  }
}
