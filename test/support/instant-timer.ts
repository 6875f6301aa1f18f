import type { Timer } from '../../src/base/timer.ts';

/** A timer on which all waiting ends at once. `onWait` is told how long it would have taken. */
export function instantTimer(onWait: (ms: number) => void = () => {}): Timer {
  let nowMs = 0;
  return {
    elapsedMs: () => nowMs,
    after(ms, fire) {
      nowMs += ms;
      onWait(ms);
      const due = setImmediate(fire);
      return () => clearImmediate(due);
    },
  };
}
