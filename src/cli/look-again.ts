import { FacteurError } from '../base/errors.ts';
import { pause } from '../base/timer.ts';
import type { CliIo } from './io.ts';
import { printable } from './table.ts';

/** Failures in a row that a watch outlives: with its pauses, more than a restart of facteur takes. */
const MAX_FAILURES = 30;

/**
 * Repeats a look of a watch while its failure may pass, and says so once. The first look of a watch needs no patience: its
 * failure is the answer.
 *
 * @returns undefined if the signal fires first
 * @throws what `look` throws for good
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
