import * as z from 'zod';
import { errorMessage } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { TRACE_ID } from '../domain/run-pages.ts';
import { SNOWFLAKE } from '../domain/snowflake.ts';
import { parseDuration } from '../base/duration.ts';
import type { ListenAddress } from './listen-address.ts';
import { parseListenAddress } from './listen-address.ts';

type Piped<T> = z.ZodPipe<z.ZodString, z.ZodTransform<Awaited<T>, string>>;

/** Ed25519 public keys as Discord shows them. */
export const PUBLIC_KEY = /^[0-9A-Fa-f]{64}$/;

const KUBERNETES_NAME = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;
const BROKER = /^(?:\[[0-9A-Fa-f:.]+\]|[^\s:,/[\]]+)(?::\d{1,5})?$/;
/** Kafka's default port, which the Go service's client used too. */
const BROKER_PORT = 9092;
/** Kafka sends waits and sizes as signed 32-bit integers, and Postgres uses them for counts. */
export const MAX_INT32 = 2_147_483_647;

/** The message for a value that is missing or of the wrong kind; it never contains the value. */
export function expected(what: string): (issue: { readonly input?: unknown }) => string {
  return (issue) => (issue.input === undefined ? 'is required' : `must be ${what}`);
}

/** Text, unchanged; surrounding white space is part of it. */
export function prose(): z.ZodString {
  return z.string({ error: expected('text') });
}

/** One line of text without surrounding white space. */
export function text(): z.ZodString {
  // In one call, because each chained check would copy the schema.
  return prose().check(z.trim(), z.minLength(1, 'must not be blank'));
}

/** Text that must not be printed, marked by JSON Schema's `writeOnly`. */
export function secret(minBytes = 0): Piped<Secret> {
  return text()
    .refine((value) => Buffer.byteLength(value) >= minBytes, `must have at least ${minBytes} bytes`)
    .meta({ writeOnly: true })
    .transform((value) => new Secret(value));
}

/**
 * A URL that may contain a password and is shown without it. The function that reads it later also validates it, so
 * that `config check` and `serve` cannot disagree; its error is the message. A `dsn` need not be a URL.
 */
export function secretUrl(read: (url: string) => unknown, format: 'uri' | 'dsn' = 'uri'): Piped<Secret> {
  return text()
    .superRefine((value, context) => {
      try {
        read(value);
      } catch (error) {
        context.addIssue({ code: 'custom', message: errorMessage(error) });
      }
    })
    .meta({ writeOnly: true, format })
    .transform((value) => new Secret(value));
}

/** An `http` or `https` URL, without trailing slashes. */
export function httpUrl(): Piped<string> {
  return text()
    .refine((value) => /^https?:\/\/./i.test(value) && URL.canParse(value), 'must be an http:// or https:// URL')
    .meta({ format: 'uri' })
    .transform((value) => value.replace(/(?<!\/)\/+$/, ''));
}

/** The URL of a trace, with {@link TRACE_ID} as the placeholder for its id. People see it, so it must contain no credentials. */
export function traceUrl(): z.ZodString {
  return text()
    .refine(isTraceUrl, `must be an http:// or https:// URL with ${TRACE_ID} after the host, and without credentials`)
    .meta({ format: 'uri-template', pattern: '\\{trace_id\\}' });
}

function isTraceUrl(value: string): boolean {
  const id = '0'.repeat(32);
  const url = URL.parse(value.replaceAll(TRACE_ID, id));
  return (
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.username + url.password === '' &&
    !url.host.includes(id) &&
    value.includes(TRACE_ID)
  );
}

export function flag(): z.ZodBoolean {
  return z.boolean({ error: expected('true or false') });
}

export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): z.ZodInt {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  const error = expected(`a whole number ${range}`);
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/** A number from 0 to 1. */
export function share(): z.ZodNumber {
  const error = expected('a number from 0 to 1');
  return z.number({ error }).min(0, { error }).max(1, { error });
}

/** A Go duration, in milliseconds. */
export function duration(): Piped<number> {
  const inRange = (ms: number | undefined): boolean => ms !== undefined && ms >= 1 && ms <= MAX_INT32;
  return text()
    .refine((value) => inRange(parseDuration(value)), 'must be a duration with a unit, such as 500ms or 1m30s')
    .transform((value) => parseDuration(value) ?? 0);
}

export function listenAddress(): Piped<ListenAddress> {
  return text()
    .refine((value) => parseListenAddress(value) !== undefined, 'must be an address such as :8080 or 127.0.0.1:8080')
    .transform((value) => ({ host: '', port: 0, ...parseListenAddress(value) }));
}

/** The name of something in Kubernetes. */
export function kubernetesName(): z.ZodString {
  return text().regex(KUBERNETES_NAME, 'must be a Kubernetes name: lower-case letters, digits, dashes and dots');
}

/**
 * A Discord id. Invalid ids are accepted here, because the Go service accepted them; `lapses.ts` reports them, and
 * the pattern is for editors.
 */
export function snowflake(): z.ZodString {
  return text().meta({ pattern: SNOWFLAKE.source });
}

/** A list; from the environment also comma-separated text. */
export function list<T extends z.ZodType>(item: T): z.ZodArray<T> {
  return z.array(item, { error: expected('a list') });
}

export function brokers(): z.ZodArray<Piped<string>> {
  return list(
    text()
      .refine(isBroker, 'must be HOST or HOST:PORT')
      .meta({ pattern: BROKER.source })
      .transform((value) => (portOf(value) === undefined ? `${value}:${BROKER_PORT}` : value)),
  );
}

function isBroker(value: string): boolean {
  const port = Number(portOf(value) ?? BROKER_PORT);
  return BROKER.test(value) && port >= 1 && port <= 65_535;
}

function portOf(broker: string): string | undefined {
  return /:(\d+)$/.exec(broker)?.[1];
}

/** Workflow parameters: names in their own case, values as text, empty ones kept. */
export function parameters(): z.ZodRecord<z.ZodString, z.ZodString> {
  return z.record(z.string().min(1, 'must not have an empty name'), prose(), { error: expected('a map') });
}
