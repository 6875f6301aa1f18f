import { FacteurError, fetchProblem } from '../../base/errors.ts';
import { isRecord } from '../../base/json.ts';
import { readBounded } from '../../base/read-bounded.ts';
import type { Secret } from '../../base/secret.ts';
import { urlBelow } from '../../base/url-below.ts';
import { OPERATIONS, type Operations, type Problem } from './operations.ts';

interface ApiClientSettings {
  readonly server: URL;
  /** Absent if the server accepts programs on its own machine without one. */
  readonly token: Secret | undefined;
  readonly fetch: (url: URL, init: RequestInit) => Promise<Response>;
  readonly signal: AbortSignal;
}

/** Longest wait for an answer, in milliseconds. */
const ANSWER_MS = 30_000;
/** Far larger than any answer of facteur: the URL may lead to anything. */
const MAX_BYTES = 64 * 2 ** 20;

type OperationId = keyof Operations;
/** The parts that a request may have, whatever its operation. */
interface AnyRequest {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
}

/** A complete response. */
interface Answer {
  readonly origin: string;
  readonly status: number;
  /** Where a redirect leads. */
  readonly location: string | undefined;
  /** Undefined if it is not JSON. */
  readonly value: unknown;
}

/** Calls an operation of `/v1`. @throws FacteurError `api.unreachable`, `api.CODE` of a problem, or `api.refused` */
export type CallApi = <O extends OperationId>(
  operation: O,
  request: Operations[O]['request'],
) => Promise<Operations[O]['answer']>;

/** A client of another facteur's `/v1`, typed by its OpenAPI document. */
export function apiClient(settings: ApiClientSettings): CallApi {
  return async (operation, request) => {
    const { method, path, answers } = OPERATIONS[operation];
    const { path: params, query, body } = request as AnyRequest;
    const payload = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await send(settings, urlOf(settings.server, path, { params, query }), { method, ...payload });
    const { status, value } = answer;
    if (status < 200 || status > 299) {
      throw failureOf(answer);
    }
    if (!isRecord(value) || (answers !== '' && !Object.hasOwn(value, answers))) {
      throw refused(value === undefined ? 'the answer is not JSON' : 'the answer has an unexpected form');
    }
    return value;
  };
}

async function send({ token, fetch, signal }: ApiClientSettings, url: URL, init: RequestInit): Promise<Answer> {
  const request = {
    ...init,
    headers: {
      ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }),
    },
    // A token must only reach the server that it was given for.
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
  } as const;
  const response = await reach(url, 'cannot be reached', () => fetch(url, request));
  const text = await reach(url, 'broke off its answer', () =>
    readBounded(response.body ?? [], MAX_BYTES, () => refused('the answer does not end')),
  );
  const location = redirectOf(response, url);
  return { origin: url.origin, status: response.status, location, value: parsed(text) };
}

async function reach<T>({ origin }: URL, problem: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FacteurError) {
      throw error;
    }
    const message = `${origin} ${problem}: ${fetchProblem(error)}`;
    throw new FacteurError('api.unreachable', message, { retryable: true, cause: error });
  }
}

/** Without the path, which may contain a secret. */
function redirectOf({ headers }: Response, { href }: URL): string | undefined {
  const location = headers.get('location');
  return location === null ? undefined : URL.parse(location, href)?.origin;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function urlOf(
  server: URL,
  path: string,
  { params = {}, query = {} }: Record<'params' | 'query', AnyRequest['query']>,
): URL {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(params[name] ?? ''));
  const url = urlBelow(server, filled);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) {
      url.searchParams.set(name, value);
    }
  }
  return url;
}

/** The typed error for the server's answer, from its problem document if it sent one. */
function failureOf({ origin, status, location, value }: Answer): FacteurError {
  const { code, detail } = (isRecord(value) ? value : {}) as Partial<Problem>;
  if (typeof code === 'string' && typeof detail === 'string') {
    return new FacteurError(`api.${code}`, detail.replaceAll(/\s+/g, ' '), {
      retryable: status === 429 || status === 503,
    });
  }
  if (status >= 500) {
    const message = `${origin} answered ${status} but not in the format of facteur: a proxy may be unable to reach it`;
    return new FacteurError('api.unreachable', message, { retryable: true });
  }
  return refused(
    location === undefined ? `it answered ${status} in an unexpected format` : `it redirects to ${location}`,
  );
}

/** The error for an answer that is not facteur's. */
export function refused(message: string): FacteurError {
  return new FacteurError('api.refused', `the server is not facteur: ${message}`, { retryable: false });
}
