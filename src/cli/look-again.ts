import { FacteurError } from '../base/errors.ts';
import { pause } from '../base/timer.ts';
import type { CliIo } from './io.ts';
import { printable } from './table.ts';

/** Failures in a row that a watch survives: with the pauses, longer than a restart of facteur. */
const MAX_FAILURES = 30;

/**
 * Retries `look` while its error is retryable, and warns once. Not for the first look of a watch: its failure is the result.
 *
 * @returns undefined if the signal fires first
 * @throws the error of `look` that is not retryable, or the last of {@link MAX_FAILURES}
 */
export async function lookAgain<T>(
  look: () => Promise<T>,
  { io, pauseMs, stop }: { readonly io: CliIo; readonly pauseMs: number; readonly stop: AbortSignal },
): Promise<T | undefined> {
  for (let failures = 1; !stop.aborted; failures += 1) {
    try {
      return await look();
    } catch (error) {
      if (stop.aborted) {
        return undefined;
      }
      if (!(error instanceof FacteurError) || !error.retryable || failures === MAX_FAILURES) {
        throw error;
      }
      if (failures === 1) {
        io.stderr.write(`facteur: warning: ${printable(error.message)}; trying again\n`);
      }
      await pause(pauseMs, stop);
    }
  }
  return undefined;
}
