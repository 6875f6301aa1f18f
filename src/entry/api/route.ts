import type { Readable } from 'node:stream';
import type * as z from 'zod';
import type { Caller, Scope } from './caller.ts';

/** A request, parsed and checked by the route's schemas. */
export interface ApiRequest<P = unknown, Q = unknown, B = unknown> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly caller: Caller;
  /** The `Idempotency-Key` header, or empty. */
  readonly idempotencyKey: string;
  /** W3C `traceparent`, or empty. */
  readonly traceparent: string;
  /** The `Last-Event-ID` header, or empty. */
  readonly lastEventId: string;
  /** Fires when the client disconnects or the process ends. */
  readonly signal: AbortSignal;
}

/** A handler's response; a `stream` is sent as it is produced. */
export interface ApiAnswer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly stream?: Readable;
}

/** A response of a route, for the document. Problems need not be listed: they follow from the route's inputs. */
export interface DocumentedAnswer {
  readonly description: string;
  /** Absent if there is no body. */
  readonly schema?: z.ZodType;
  readonly contentType?: string;
  /** The schema of each event's data, for server-sent events. */
  readonly event?: z.ZodType;
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** A request that the route serves, and its response. */
interface RouteExample {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly idempotencyKey?: string;
  /** The body of the first success in `answers`; absent when it has none. */
  readonly answer?: unknown;
}

/**
 * A row of the table of `/v1`, the source of registration, validation, permissions, the OpenAPI document and the docs page.
 * `Deps` are the dependencies of its handler.
 */
export interface ApiRoute<Deps> {
  readonly method: Method;
  /** With parameters in braces: `/v1/runs/{runId}`. */
  readonly path: `/v1/${string}`;
  /** camelCase and unique: clients are generated from it. */
  readonly operationId: string;
  readonly tag: string;
  readonly summary: string;
  /** The minimum scope of an operator's token; `self` also admits the token of the run in `{runId}`. */
  readonly who: { readonly scope: Scope; readonly self?: boolean };
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** The body is passed on unchanged; otherwise anything that looks like a credential is removed. */
  readonly verbatim?: true;
  /** Whether `Idempotency-Key` makes a repetition return the result of the first request. */
  readonly idempotencyKey?: 'optional' | 'required';
  /** Whether it responds with server-sent events that resume after `Last-Event-ID`. */
  readonly resumable?: boolean;
  readonly example: RouteExample;
  /** By status. */
  readonly answers: Readonly<Record<number, DocumentedAnswer>>;
  readonly handle: (request: ApiRequest, deps: Deps) => Promise<ApiAnswer>;
}

interface TypedRoute<Deps, P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> extends Omit<
  ApiRoute<Deps>,
  'params' | 'query' | 'body' | 'handle'
> {
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  readonly handle: (request: ApiRequest<z.output<P>, z.output<Q>, z.output<B>>, deps: Deps) => Promise<ApiAnswer>;
}

/** Type-checks a row of the table: its handler gets the output of its schemas. */
export function defineRoute<Deps, P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
  route: TypedRoute<Deps, P, Q, B>,
): ApiRoute<Deps> {
  // Registration passes the output of the three schemas, which the compiler cannot follow through the table.
  return route as unknown as ApiRoute<Deps>;
}
