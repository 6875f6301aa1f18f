import { diag, DiagLogLevel } from '@opentelemetry/api';
import { setGlobalErrorHandler } from '@opentelemetry/core';
import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';

/** Minimum time between two lines: an outage of the collector must not flood the log. */
const QUIET_MS = 5 * 60_000;

/**
 * Logs the SDK's errors: failed exports, dropped spans. At most one line in five minutes, with the number of omitted ones.
 *
 * @returns a function that stops it
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
