import type { Logger, LogSink } from '../base/logger.ts';
import type { Environment } from './variables.ts';

/** Telemetry that is under way. */
export interface Telemetry {
  /** Where log lines go besides, when they are exported. */
  readonly logSink: LogSink | undefined;
  /** All metrics in Prometheus's text format, when that was asked for. */
  readonly scrape: (() => Promise<string>) | undefined;
  /** Sends what is left, for a few seconds at most, and ends. Safe to call twice. Never rejects. */
  shutdown(): Promise<void>;
}

export interface TelemetryContext {
  readonly env: Environment;
  readonly version: string;
  readonly commit: string;
  /** One name for the life of this process. */
  readonly instanceId: string;
  /** For telemetry's own troubles: a logger whose lines are not exported. */
  readonly logger: Logger;
}
