import { readBounded } from '../../base/read-bounded.ts';
import { createHash } from 'node:crypto';
import type { Dispatcher } from 'undici';
import { FacteurError } from '../../base/errors.ts';
import { measureClient } from '../../base/telemetry-client.ts';
import {
  createAgent,
  createProxyAgent,
  exchange,
  MAX_ERROR_BYTES,
  request,
  ResponseTooLarge,
  type TextResponse,
} from '../undici.ts';
import { argoErrorOf } from './answers.ts';
import type { Operation } from './answers.ts';
import type { ClusterAccess, Connection } from './connection.ts';
import { startDeadline } from './deadline.ts';
import type { Deadline } from './deadline.ts';
import { ArgoError } from './errors.ts';

/** Answers are read up to this size, which bounds memory. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** Creates need a few dozen at their peak. Each watch has a connection of its own. */
const MAX_CONNECTIONS = 64;
const CONNECT_TIMEOUT_MS = 5_000;

export interface ClusterRequest {
  readonly operation: Operation;
  readonly method: 'GET' | 'POST' | 'PATCH';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: { readonly contentType: string; readonly json: object };
  /** Without credentials. */
  readonly anonymous?: boolean;
  /** The content type to ask for; JSON by default. */
  readonly accept?: string;
  /** Keeps its connection for minutes. */
  readonly streams?: true;
}

type RequestOptions = Parameters<typeof request>[1];
type Response = TextResponse | Dispatcher.ResponseData;
type Send<R extends Response> = (url: URL, options: RequestOptions) => Promise<R>;

/** What a request needs besides its content. */
interface Surroundings {
  readonly connection: Connection;
  readonly deadline: Deadline;
  /** Headers that continue the current trace. */
  readonly trace: Readonly<Record<string, string>>;
}

/** The connection pools of one TLS identity. */
interface Pools {
  readonly calls: Dispatcher;
  /** Separate from the calls: otherwise watches could use up all connections and leave none for a create. */
  readonly streams: Dispatcher;
}

/** HTTP to the apiserver: kept-alive connections, credentials on every request, one retry after a 401. */
export class ClusterTransport {
  readonly #access: ClusterAccess;
  readonly #dispatchers = new Set<Dispatcher>();
  #current: { readonly connection: Connection; readonly identity: string; readonly pools: Pools } | undefined;
  readonly #measured = measureClient('kubernetes');
  #closed = false;

  constructor(access: ClusterAccess) {
    this.#access = access;
  }

  /** The parsed JSON of a successful answer. */
  async call(wanted: ClusterRequest, timeoutMs: number, signal?: AbortSignal): Promise<unknown> {
    const { body, status } = await this.text(wanted, timeoutMs, signal);
    return parseJson(body, wanted.operation, status);
  }

  /** The unparsed text of a successful answer. */
  async text(
    wanted: ClusterRequest,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<{ body: string; status: number }> {
    const deadline = startDeadline(timeoutMs, signal);
    try {
      const {
        statusCode: status,
        headers,
        body,
      } = await this.#send(wanted, deadline, (url, options) => exchange(url, options, MAX_ANSWER_BYTES));
      if (isSuccess(status)) {
        return { body, status };
      }
      throw argoErrorOf(wanted.operation, { status, headers, body });
    } catch (error) {
      throw this.translate(error, wanted.operation, deadline);
    } finally {
      deadline.stop();
    }
  }

  /** Opens a stream; the caller's `deadline` lives as long as the stream does. */
  async open(wanted: ClusterRequest, deadline: Deadline): Promise<AsyncIterable<Buffer>> {
    try {
      const { statusCode: status, headers, body } = await this.#send({ ...wanted, streams: true }, deadline, request);
      if (isSuccess(status)) {
        return body;
      }
      const error = new ResponseTooLarge({ statusCode: status, headers });
      const page = await readBounded(body, MAX_ERROR_BYTES, () => error);
      throw argoErrorOf(wanted.operation, { status, headers, body: page });
    } catch (error) {
      throw this.translate(error, wanted.operation, deadline);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(Array.from(this.#dispatchers, (dispatcher) => dispatcher.destroy()));
  }

  async #send<R extends Response>(wanted: ClusterRequest, deadline: Deadline, send: Send<R>): Promise<R> {
    const connection = await deadline.race(this.#access.connection());
    const response = await this.#attempt(wanted, { connection, deadline }, send);
    if (response.statusCode !== 401) {
      return response;
    }
    // A rotated token: the cluster did nothing, so one retry with fresh credentials is safe even for writes.
    if (typeof response.body !== 'string') {
      await response.body.dump();
    }
    const fresh = await deadline.race(this.#access.connection(connection));
    return this.#attempt(wanted, { connection: fresh, deadline }, send);
  }

  async #attempt<R extends Response>(
    wanted: ClusterRequest,
    { connection, deadline }: Omit<Surroundings, 'trace'>,
    send: Send<R>,
  ): Promise<R> {
    if (this.#closed) {
      throw new ArgoError('argo.aborted', `cannot ${wanted.operation.name}: the client is closed`);
    }
    const url = new URL(connection.server + wanted.path);
    const { method, operation } = wanted;
    return this.#measured({ method, purpose: operation.name, url }, (trace) =>
      send(url, this.#optionsFor(wanted, { connection, deadline, trace })),
    );
  }

  #optionsFor(wanted: ClusterRequest, { connection, deadline, trace }: Surroundings): RequestOptions {
    return {
      dispatcher: this.#poolsFor(connection)[wanted.streams === true ? 'streams' : 'calls'],
      method: wanted.method,
      headers: {
        ...(wanted.anonymous === true ? {} : connection.headers),
        ...trace,
        accept: wanted.accept ?? 'application/json',
        'user-agent': 'facteur',
        ...(wanted.body === undefined ? {} : { 'content-type': wanted.body.contentType }),
      },
      query: definedOnly(wanted.query ?? {}),
      body: wanted.body === undefined ? null : JSON.stringify(wanted.body.json),
      signal: deadline.signal,
      // Only the deadline and the watch's idle timer apply; undici's coarser timers would hide which one fired.
      headersTimeout: 0,
      bodyTimeout: 0,
    };
  }

  /** The pools for this TLS identity. A rotated certificate gets new ones; the old ones end with their last requests. */
  #poolsFor(connection: Connection): Pools {
    if (this.#current?.connection === connection) {
      return this.#current.pools;
    }
    const identity = identityOf(connection);
    if (this.#current?.identity === identity) {
      this.#current = { ...this.#current, connection };
      return this.#current.pools;
    }
    const previous = this.#current?.pools;
    const pools = { calls: createDispatcher(connection, MAX_CONNECTIONS), streams: createDispatcher(connection, null) };
    this.#current = { connection, identity, pools };
    this.#dispatchers.add(pools.calls).add(pools.streams);
    for (const old of previous === undefined ? [] : [previous.calls, previous.streams]) {
      const forget = (): boolean => this.#dispatchers.delete(old);
      old.close().then(forget, forget);
    }
    return pools;
  }

  /** The typed error for any failure of an exchange. */
  translate(error: unknown, operation: Operation, deadline: Deadline): ArgoError {
    if (error instanceof ArgoError) {
      return error;
    }
    if (error instanceof ResponseTooLarge) {
      return tooLarge(error, operation);
    }
    if (error instanceof FacteurError) {
      // The message is for the operator's log: it names files of this machine.
      const details = `cannot ${operation.name}: no credentials for the cluster`;
      return new ArgoError('argo.credentials', `cannot ${operation.name}: ${error.message}`, { details, cause: error });
    }
    const ambiguous = operation.write && wasPerhapsSent(error);
    if (deadline.timedOut) {
      return new ArgoError('argo.timeout', `cannot ${operation.name}: timed out`, { ambiguous, cause: error });
    }
    if (deadline.aborted || this.#closed) {
      return new ArgoError('argo.aborted', `cannot ${operation.name}: aborted`, { ambiguous, cause: error });
    }
    return new ArgoError('argo.connection', `cannot ${operation.name}: connection failed (${systemCode(error)})`, {
      ambiguous,
      cause: error,
    });
  }
}

/** @param connections maximum number; null for one per request */
function createDispatcher(connection: Connection, connections: number | null): Dispatcher {
  const common = {
    connections,
    pipelining: 1,
    // HTTP/2 would put everything on one connection, where a lost packet or a dead peer stops creates and watch alike.
    allowH2: false,
    keepAliveTimeout: 30_000,
  };
  const tls = { ...connection.tls, timeout: CONNECT_TIMEOUT_MS, keepAlive: true, keepAliveInitialDelay: 30_000 };
  if (connection.proxyUrl !== undefined) {
    return createProxyAgent({ ...common, uri: connection.proxyUrl, requestTls: tls });
  }
  return createAgent({ ...common, connect: tls });
}

function identityOf({ tls, proxyUrl, server }: Connection): string {
  const hash = createHash('sha256');
  for (const part of [server, proxyUrl ?? '', tls.ca ?? '', tls.cert ?? '', tls.key ?? '', tls.servername ?? '']) {
    hash.update(part).update('\0');
  }
  return hash.update(String(tls.rejectUnauthorized ?? true)).digest('hex');
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** `reason` of the `argo.bad_answer` that means «ask for less at a time». */
export const ANSWER_TOO_LARGE = 'AnswerTooLarge';

/** The status of an error is enough; its page is not needed. */
function tooLarge({ statusCode: status, headers }: ResponseTooLarge, operation: Operation): ArgoError {
  if (!isSuccess(status)) {
    return argoErrorOf(operation, { status, headers, body: '' });
  }
  const message = `cannot ${operation.name}: the response exceeds ${MAX_ANSWER_BYTES} bytes`;
  return new ArgoError('argo.bad_answer', message, { status, reason: ANSWER_TOO_LARGE, ambiguous: operation.write });
}

function parseJson(body: string, operation: Operation, status: number): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new ArgoError('argo.bad_answer', `cannot ${operation.name}: the response is not JSON`, {
      status,
      ambiguous: operation.write,
      cause: error,
    });
  }
}

function definedOnly(query: Readonly<Record<string, string | number | boolean | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  );
}

/** Errors raised before a byte of the request could leave. */
const NEVER_SENT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|UND_ERR_INVALID_ARG|ERR_TLS_.*|ERR_SSL_.*|CERT_.*|DEPTH_ZERO_.*|SELF_SIGNED_.*|UNABLE_TO_.*)$/;

function wasPerhapsSent(error: unknown): boolean {
  return !NEVER_SENT.test(systemCode(error));
}

function systemCode(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return systemCode(error.errors[0]);
  }
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'unknown cause';
}
