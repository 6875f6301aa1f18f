import { SeverityNumber, type Logger as RecordLogger } from '@opentelemetry/api';
import type { LogSink } from '../base/logger.ts';

const SEVERITY: Readonly<Record<string, SeverityNumber>> = {
  debug: SeverityNumber.DEBUG,
  info: SeverityNumber.INFO,
  warn: SeverityNumber.WARN,
  error: SeverityNumber.ERROR,
};

/**
 * A sink that makes one OpenTelemetry record of each log line, which is already redacted. The record belongs to the
 * current span, because lines are written during what they describe.
 */
export function exportedLog(target: RecordLogger): LogSink {
  return {
    write(line) {
      const { level, time, message, ...fields } = JSON.parse(line) as Record<string, unknown>;
      target.emit({
        severityNumber: SEVERITY[String(level)] ?? SeverityNumber.UNSPECIFIED,
        severityText: String(level),
        timestamp: new Date(String(time)),
        body: String(message),
        attributes: fields,
      });
    },
  };
}
