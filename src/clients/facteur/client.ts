import { FacteurError, fetchProblem } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { urlBelow } from '../../base/url-below.ts';
import { OPERATIONS, type Operations, type Problem } from './operations.ts';

interface ApiClientSettings {
  readonly server: URL;
  /** Absent where the server lets in programs on its own machine. */
  readonly token: Secret | undefined;
  readonly fetch: (url: URL, init: RequestInit) => Promise<Response>;
  readonly signal: AbortSignal;
}

/** Longest wait for an answer, in milliseconds. */
const ANSWER_MS = 30_000;

type OperationId = keyof Operations;
/** The parts that a request may have, whatever its operation. */
interface AnyRequest {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
}

/** Calls an operation of `/v1`. @throws FacteurError `api.unreachable`, `api.CODE` of a problem, or `api.refused` */
export type CallApi = <O extends OperationId>(
  operation: O,
  request: Operations[O]['request'],
) => Promise<Operations[O]['answer']>;

/** A client of another facteur's `/v1`, typed by its OpenAPI document. */
export function apiClient(settings: ApiClientSettings): CallApi {
  return async (operation, request) => {
    const { method, path } = OPERATIONS[operation];
    const { path: params, query, body } = request as AnyRequest;
    const payload = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await send(settings, urlOf(settings.server, path, { params, query }), { method, ...payload });
    if (!response.ok) {
      throw await failureOf(response);
    }
    return (await response.json().catch(() => {
      throw refused('the answer is not JSON');
    })) as never;
  };
}

async function send({ token, fetch, signal }: ApiClientSettings, url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, {
      ...init,
      headers: {
        ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }),
      },
      // A token is for the server that it was given for.
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
    });
  } catch (error) {
    const message = `${url.origin} cannot be reached: ${fetchProblem(error)}`;
    throw new FacteurError('api.unreachable', message, { retryable: true, cause: error });
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

/** What the server says of it: a problem, as far as it is one. */
async function failureOf(response: Response): Promise<FacteurError> {
  const problem = (await response.json().catch(() => null)) as Partial<Problem> | null;
  if (typeof problem?.code !== 'string' || typeof problem.detail !== 'string') {
    return refused(`it answered ${response.status} in another format`);
  }
  const retryable = response.status === 429 || response.status === 503;
  return new FacteurError(`api.${problem.code}`, problem.detail.replaceAll(/\s+/g, ' '), { retryable });
}

function refused(message: string): FacteurError {
  return new FacteurError('api.refused', `the server is not facteur: ${message}`, { retryable: false });
}
