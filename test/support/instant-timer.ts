import type { Timer } from '../../src/base/timer.ts';

/** A timer on which all waiting ends at once. `waits` has how long each wait would have taken, and so does `onWait`. */
export function instantTimer(onWait: (ms: number) => void = () => {}): Timer & { readonly waits: number[] } {
  const waits: number[] = [];
  return {
    waits,
    elapsedMs: () => waits.reduce((sum, ms) => sum + ms, 0),
    after(ms, fire) {
      waits.push(ms);
      onWait(ms);
      const due = setImmediate(fire);
      return () => clearImmediate(due);
    },
  };
}
