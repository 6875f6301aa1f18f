import { setTimeout as wait } from 'node:timers/promises';
import { FacteurError } from '../base/errors.ts';

/** A step that takes longer has failed; the simulated workflows take a second or two. */
export const PATIENCE_MS = 120_000;
const POLL_MS = 20;

/** Waits for an expected result of the tour. @throws FacteurError after two minutes */
export async function until(problem: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    expectThat(performance.now() < deadline, `${problem} after two minutes`);
    await wait(POLL_MS);
  }
}

/** @throws FacteurError `sandbox.failed`, which ends the tour */
export function expectThat(condition: boolean, what: string): asserts condition {
  if (!condition) {
    throw new FacteurError('sandbox.failed', what, { retryable: false });
  }
}
