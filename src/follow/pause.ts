import { setTimeout } from 'node:timers/promises';

/** Waits, or not for so long when the signal fires; never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await setTimeout(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) {
      throw error;
    }
  }
}
