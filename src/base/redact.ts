import { FacteurError, errorMessage } from './errors.ts';
import { Secret } from './secret.ts';

const HIDDEN = '***';
/** Deeper values are cut, which keeps lines readable and ends cycles. */
const MAX_DEPTH = 6;
/** Maximum number of values at all depths together; the rest is cut. */
const MAX_VALUES = 200;
/** Text beyond this length, in UTF-16 units, is cut before it is examined. */
const MAX_SCANNED = 64 * 1024;
/** The longest text in a log line or a span. */
const MAX_TEXT = 2000;
/** The longest field name. */
const MAX_NAME = 100;
const SECRET_NAME = /token|secret|password|passwd|authorization|cookie|api[-_]?key|signature/i;

/**
 * Matches whenever an expression in {@link redactText} could. Most texts are our own ids and names, and need no more than this.
 */
const MAY_HOLD_CREDENTIAL = /:\/\/|[Bb]earer|Bot|eyJ|\/interactions\/|\/webhooks\//;

/**
 * A JWT of any length, such as a pod's service account token. The search begins once per word and first looks for the other
 * parts, so it takes linear time.
 */
const JWT = /(?<![\w-])(?=[\w-]+\.[\w-]{10,}\.[\w-]{10})([\w-]*?)\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}/g;

/**
 * The text without anything that looks like a credential: the password in a URL (in an HTTP URL, everything before the host), a
 * bearer token, a JWT, and the interaction or webhook token in the path of Discord's URLs. Overlong text is cut.
 */
export function redactText(text: string): string {
  const scanned = cut(text, MAX_SCANNED);
  if (!MAY_HOLD_CREDENTIAL.test(scanned)) {
    return scanned;
  }
  return (
    scanned
      // A quote ends a URL: an @ after it belongs to something else. Other doubtful text is hidden.
      .replaceAll(/(:\/\/[^\s:@/"<>]*):[^\s/]+@/g, `$1:${HIDDEN}@`)
      // In an HTTP URL the user name too: Git hosts accept a token there.
      .replaceAll(/(https?:\/\/)[^\s/?#"<>]+@/gi, `$1${HIDDEN}@`)
      .replaceAll(/(authorization["']?\s{0,8}[:=]\s{0,8}["']?(?:bearer|bot))\s+[\w.~+/=-]{8,}/gi, `$1 ${HIDDEN}`)
      // Not plain words, as in `bearer authentication` or `Bot permissions`.
      .replaceAll(
        /\b([Bb]earer|Bot)\s+(?!(?:[A-Z]?[a-z]{1,20}-){0,3}[A-Z]?[a-z]{1,20}\.?(?![\w.~+/=-]))[\w.~+/=-]{8,}/g,
        `$1 ${HIDDEN}`,
      )
      .replaceAll(JWT, `$1${HIDDEN}`)
      .replaceAll(/\/(interactions|webhooks)\/(\d+)\/[\w.~+=-]+/g, `/$1/$2/${HIDDEN}`)
  );
}

/** Like {@link redactText}, and cut to fit a log line. */
export function logText(text: string): string {
  return cut(redactText(text), MAX_TEXT);
}

/** At most `length` UTF-16 units. Shortened text ends in `…`, and not in half a character. */
export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** Loggable form of any thrown value. The stack is omitted for our typed errors, which are expected. */
export function describeError(error: unknown): Record<string, unknown> {
  const described: Record<string, unknown> = { message: logText(errorMessage(error)) };
  if (error instanceof FacteurError) {
    described['code'] = error.code;
  } else if (error instanceof Error && error.stack !== undefined) {
    described['stack'] = logText(error.stack);
  }
  if (error instanceof Error && error.cause !== undefined) {
    described['cause'] = logText(errorMessage(error.cause));
  }
  return described;
}

/**
 * Fields made safe to print: values under names such as `token` or `password` become `***`, texts lose credentials,
 * errors become plain objects, values that JSON does not support (bigint, function, cycle) become text, and overlong
 * values are cut.
 */
export function redactFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return redactRecord(fields, { depth: 0, count: { left: MAX_VALUES } });
}

/** The position within the fields, and how many more values are allowed. */
interface Place {
  readonly depth: number;
  readonly count: { left: number };
}

function redactRecord(fields: Readonly<Record<string, unknown>>, place: Place): Record<string, unknown> {
  const safe: [string, unknown][] = [];
  for (const name in fields) {
    if (Object.hasOwn(fields, name)) {
      if (isFull(place)) {
        safe.push(['…', true]);
        break;
      }
      const value = fields[name];
      safe.push([cut(name, MAX_NAME), isSecret(name, value) ? HIDDEN : redactValue(value, place)]);
    }
  }
  return Object.fromEntries(safe);
}

function redactList(list: readonly unknown[], place: Place): unknown[] {
  const safe: unknown[] = [];
  for (const value of list) {
    if (isFull(place)) {
      safe.push('…');
      break;
    }
    safe.push(redactValue(value, place));
  }
  return safe;
}

function isFull({ count }: Place): boolean {
  count.left -= 1;
  return count.left < 0;
}

/** Whether a field's name suggests a secret. */
export function namesSecret(name: string): boolean {
  return SECRET_NAME.test(cut(name, MAX_SCANNED));
}

/** Counts and flags about a secret (`tokens: 2`) are fine, and so is its absence. */
function isSecret(name: string, value: unknown): boolean {
  return (
    value !== '' &&
    value !== undefined &&
    value !== null &&
    typeof value !== 'number' &&
    typeof value !== 'boolean' &&
    namesSecret(name)
  );
}

function redactValue(value: unknown, place: Place): unknown {
  if (typeof value === 'string') {
    return logText(value);
  }
  if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') {
    return cut(String(value), MAX_TEXT);
  }
  return typeof value === 'object' && value !== null ? redactObject(value, place) : value;
}

function redactObject(value: object, { depth, count }: Place): unknown {
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
  const inside = { depth: depth + 1, count };
  return Array.isArray(value) ? redactList(value, inside) : redactRecord(value as Record<string, unknown>, inside);
}
