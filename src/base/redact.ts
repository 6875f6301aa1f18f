import { FacteurError, errorMessage } from './errors.ts';
import { Secret } from './secret.ts';

const HIDDEN = '***';
/** Deeper values are cut: a log line is for reading, and a cycle must end somewhere. */
const MAX_DEPTH = 6;
const SECRET_NAME = /token|secret|password|passwd|authorization|cookie|api[-_]?key|signature/i;

/**
 * The text without what looks like a credential: the password in a URL, a bearer token, and the interaction or webhook
 * token that stands in the path of Discord's URLs.
 */
export function redactText(text: string): string {
  return text
    .replaceAll(/([a-z][a-z0-9+.-]*:\/\/[^\s:@/]*):[^\s@/]+@/gi, `$1:${HIDDEN}@`)
    .replaceAll(/\b([Bb]earer|Bot)\s+[\w.~+/=-]{8,}/g, `$1 ${HIDDEN}`)
    .replaceAll(/\/(interactions|webhooks)\/(\d+)\/[\w.~+=-]+/g, `/$1/$2/${HIDDEN}`);
}

/** What a log line holds about whatever was thrown. A stack only when it is none of our typed errors: those are expected. */
export function describeError(error: unknown): Record<string, unknown> {
  const described: Record<string, unknown> = { message: redactText(errorMessage(error)) };
  if (error instanceof FacteurError) {
    described['code'] = error.code;
  } else if (error instanceof Error && error.stack !== undefined) {
    described['stack'] = redactText(error.stack);
  }
  if (error instanceof Error && error.cause !== undefined) {
    described['cause'] = redactText(errorMessage(error.cause));
  }
  return described;
}

/**
 * Fields made safe to print: values under names such as `token` or `password` become `***`, texts lose credentials,
 * errors become plain objects, and what JSON cannot say (bigint, function, cycle) becomes text.
 */
export function redactFields(fields: Readonly<Record<string, unknown>>, depth = 0): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      SECRET_NAME.test(name) && isRevealing(value) ? HIDDEN : redactValue(value, depth),
    ]),
  );
}

/** Counts and flags about a secret (`tokens: 2`) are fine, and so is its absence. */
function isRevealing(value: unknown): boolean {
  return (
    value !== '' && value !== undefined && value !== null && typeof value !== 'number' && typeof value !== 'boolean'
  );
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') {
    return redactText(value);
  }
  if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') {
    return String(value);
  }
  return typeof value === 'object' && value !== null ? redactObject(value, depth) : value;
}

function redactObject(value: object, depth: number): unknown {
  if (value instanceof Error) {
    return describeError(value);
  }
  if (value instanceof Secret) {
    return HIDDEN;
  }
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
  }
  if (ArrayBuffer.isView(value)) {
    return `(${value.byteLength} bytes)`;
  }
  if (depth >= MAX_DEPTH) {
    return '…';
  }
  return Array.isArray(value)
    ? value.map((item) => redactValue(item, depth + 1))
    : redactFields(value as Record<string, unknown>, depth + 1);
}
