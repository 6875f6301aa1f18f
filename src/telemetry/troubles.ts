import { diag, DiagLogLevel } from '@opentelemetry/api';
import { setGlobalErrorHandler } from '@opentelemetry/core';
import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';

/** An outage of the collector is one line, and another one from time to time. */
const QUIET_MS = 5 * 60_000;

/**
 * Sends what the SDK complains about to the log: an export that failed, spans that were dropped. One line in five
 * minutes at most, with the number of those that were left out.
 *
 * @returns what ends it
 */
export function reportTroubles(logger: Logger): () => void {
  let quietUntil = 0;
  let leftOut = 0;
  const report = (error: string): void => {
    const now = performance.now();
    if (now < quietUntil) {
      leftOut += 1;
      return;
    }
    logger.warn({ error, ...(leftOut === 0 ? {} : { leftOut }) }, 'telemetry: some data was lost');
    quietUntil = now + QUIET_MS;
    leftOut = 0;
  };
  setGlobalErrorHandler((error) => report(errorMessage(error)));
  const complain = (message: string, ...more: unknown[]): void =>
    report([message, ...more.map(errorMessage)].join(': '));
  diag.setLogger(
    {
      error: complain,
      warn: complain,
      info: () => undefined,
      debug: () => undefined,
      verbose: () => undefined,
    },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  return () => {
    quietUntil = Number.POSITIVE_INFINITY;
  };
}
