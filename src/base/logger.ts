import { pino } from 'pino';
import { redactFields, redactText } from './redact.ts';
import { currentTrace } from './telemetry.ts';

export type LogFields = Readonly<Record<string, unknown>>;
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/**
 * Says what happens, one line each. Fields come first, then one short sentence in lower case. Both are redacted on the
 * way out, so a secret that strays into a field does not get into a log. Where a trace is under way its lines carry
 * `traceId` and `spanId`, unless the fields name another one.
 */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A logger whose every line carries `fields` too, such as `traceId` and `runId`. */
  child(fields: LogFields): Logger;
}

/** Where lines go: `process.stdout`, a file, a test's array. Each call is one line with its newline. */
export interface LogSink {
  write(line: string): unknown;
}

/** Every line goes to both. */
export function bothSinks(first: LogSink, second: LogSink): LogSink {
  return {
    write(line) {
      first.write(line);
      second.write(line);
    },
  };
}

/** A logger that writes one JSON object a line, from `level` on. */
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
      { write: (line) => void sink.write(line) },
    ),
  );
}

/** Says nothing: for tools and tests that do not care. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};

type PinoLogger = ReturnType<typeof pino>;

/** The span under way, unless the fields name another trace. */
function traceFor({ traceId }: LogFields): LogFields | undefined {
  const trace = currentTrace();
  return traceId === undefined || traceId === trace?.traceId ? trace : undefined;
}

function wrap(target: PinoLogger, knowsTrace = false): Logger {
  const write = (level: LogLevel, fields: LogFields, message: string): void => {
    // Redaction costs more than a line that nobody wants to see.
    if (target.isLevelEnabled(level)) {
      target[level](redactFields({ ...(knowsTrace ? undefined : traceFor(fields)), ...fields }), redactText(message));
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
