import { pino } from 'pino';
import type { LogLevel } from './log-level.ts';
import { cut, logText, redactFields } from './redact.ts';
import { currentTrace } from './telemetry.ts';

export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Logs events, one line each: fields first, then one short sentence in lower case. Both are redacted, so a secret
 * that ends up in a field does not reach the log. Within a trace, lines carry `traceId` and `spanId`, unless the
 * fields set others.
 */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A logger that adds `fields` to every line, such as `traceId` and `runId`. */
  child(fields: LogFields): Logger;
}

/** Where lines go: `process.stdout`, a file, a test's array. Each call is one line with its newline. */
export interface LogSink {
  write(line: string): unknown;
}

/** Writes every line to both sinks. */
export function bothSinks(first: LogSink, second: LogSink): LogSink {
  return {
    write(line) {
      first.write(line);
      second.write(line);
    },
  };
}

/** A logger that writes one JSON object per line, at `level` and above. */
export function createLogger(level: LogLevel, sink: LogSink): Logger {
  return wrap(
    pino(
      {
        level,
        base: null,
        messageKey: 'message',
        timestamp: () => `,"time":"${new Date().toISOString()}"`,
        formatters: { level: (label) => ({ level: label }) },
      },
      { write: (line) => void sink.write(fitted(line)) },
    ),
  );
}

/** The longest line, in bytes: log collectors split or drop longer ones. */
export const MAX_LINE_BYTES = 8 * 1024;
/** Texts are cut to the longest of these lengths that makes their line fit. */
const SHORTER: readonly number[] = [1000, 400, 100, 20];

/** The line, or a shorter one with less detail. It is JSON either way, and ends with a newline. */
function fitted(line: string): string {
  if (fits(line)) {
    return line;
  }
  const record = JSON.parse(line) as Record<string, unknown>;
  for (const length of SHORTER) {
    const shortened = JSON.stringify(record, (_, value: unknown) =>
      typeof value === 'string' ? cut(value, length) : value,
    );
    if (fits(`${shortened}\n`)) {
      return `${shortened}\n`;
    }
  }
  const { level, time, message } = record;
  return `${JSON.stringify({ level, time, message: cut(String(message), 400), cut: true })}\n`;
}

/** A UTF-16 unit takes at most three bytes, so most lines need no byte count. */
function fits(line: string): boolean {
  return line.length * 3 <= MAX_LINE_BYTES || Buffer.byteLength(line) <= MAX_LINE_BYTES;
}

/** Logs nothing: for tools and tests. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};

type PinoLogger = ReturnType<typeof pino>;

/** The current span, unless the fields set another trace. */
function traceFor({ traceId }: LogFields): LogFields | undefined {
  const trace = currentTrace();
  return traceId === undefined || traceId === trace?.traceId ? trace : undefined;
}

function wrap(target: PinoLogger, knowsTrace = false): Logger {
  const write = (level: LogLevel, fields: LogFields, message: string): void => {
    // Redaction is too expensive for a line that is not written.
    if (target.isLevelEnabled(level)) {
      target[level](redactFields({ ...(knowsTrace ? undefined : traceFor(fields)), ...fields }), logText(message));
    }
  };
  return {
    debug: (fields, message) => write('debug', fields, message),
    info: (fields, message) => write('info', fields, message),
    warn: (fields, message) => write('warn', fields, message),
    error: (fields, message) => write('error', fields, message),
    child: (fields) => wrap(target.child(redactFields(fields)), knowsTrace || 'traceId' in fields),
  };
}
