import type { Logger, LogSink } from '../base/logger.ts';
import type { Environment } from './settings.ts';

/** Running telemetry. */
export interface Telemetry {
  /** An additional sink for log lines, if they are exported. */
  readonly logSink: LogSink | undefined;
  /** All metrics in Prometheus's text format, if configured. */
  readonly scrape: (() => Promise<string>) | undefined;
  /** Flushes the rest, for at most a few seconds, and stops. Safe to call twice. Never rejects. */
  shutdown(): Promise<void>;
}

export interface TelemetryContext {
  readonly env: Environment;
  readonly version: string;
  readonly commit: string;
  /** Identifies this process for its whole life. */
  readonly instanceId: string;
  /** For telemetry's own errors: a logger whose lines are not exported. */
  readonly logger: Logger;
}
