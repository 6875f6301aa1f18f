import { randomUUID } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { createLogger, type LogSink } from '../../src/base/logger.ts';
import { startTelemetry } from '../../src/telemetry/start.ts';
import type { Environment } from '../../src/telemetry/settings.ts';
import { startOtlpReceiver, type OtlpReceiver } from './otlp.ts';

/** Telemetry of a test, exported to its own receiver. */
export interface TestTelemetry {
  readonly receiver: OtlpReceiver;
  /** Telemetry's own log lines. */
  readonly complaints: readonly string[];
  /** The sink that exports log lines. */
  readonly logSink: LogSink;
  /** All metrics as Prometheus sees them. */
  scrape(): Promise<string>;
  /** Sends the rest; afterwards the receiver has everything. */
  end(): Promise<void>;
}

/**
 * Exports traces, metrics and logs of this process to a receiver until the test ends. Call it before the code under
 * observation is built. Only one can exist, because OpenTelemetry's registry is global to the process.
 */
export async function startTestTelemetry(env: Environment = {}): Promise<TestTelemetry> {
  const receiver = await startOtlpReceiver();
  const complaints: string[] = [];
  const telemetry = await startTelemetry({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_METRICS_EXPORTER: 'otlp,prometheus',
      OTEL_BSP_SCHEDULE_DELAY: '20',
      OTEL_BLRP_SCHEDULE_DELAY: '20',
      ...env,
    },
    version: 'test',
    commit: 'none',
    instanceId: randomUUID(),
    logger: createLogger('debug', { write: (line) => complaints.push(line) }),
  });
  onTestFinished(() => telemetry.shutdown());
  return {
    receiver,
    complaints,
    logSink: telemetry.logSink!,
    scrape: telemetry.scrape!,
    end: () => telemetry.shutdown(),
  };
}
