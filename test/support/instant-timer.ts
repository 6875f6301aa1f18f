import type { Timer } from '../../src/base/timer.ts';

/** A timer on which every wait ends at once. `onWait` gets the duration it would have had. */
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
