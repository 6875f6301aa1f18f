import type { IncomingHttpHeaders } from 'node:http';
import type { Agent as AgentType, Dispatcher, ProxyAgent as ProxyAgentType } from 'undici';
import connect from 'undici/lib/api/api-connect.js';
import send from 'undici/lib/api/api-request.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import BareDispatcher from 'undici/lib/dispatcher/dispatcher.js';
import ProxyAgent from 'undici/lib/dispatcher/proxy-agent.js';
import { unlessAborted } from '../base/within.ts';

/*
 * The parts of undici that facteur uses. The whole package also loads fetch, WebSocket, caches and mocks, which took a third of
 * the time that `serve` spent on loading code.
 */

type RequestOptions = Omit<Dispatcher.RequestOptions, 'origin' | 'path' | 'signal'> & {
  readonly dispatcher: Dispatcher;
  readonly signal: AbortSignal;
};

/** A response with its whole body as UTF-8 text. */
export interface TextResponse {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** The status of an error is enough: a larger page, or one that does not end, is not worth reading. */
export const MAX_ERROR_BYTES = 256 * 1024;

/** A response with more bytes than allowed. */
export class ResponseTooLarge extends Error {
  /** Metrics and spans have it as `error.type`. */
  override readonly name = 'ResponseTooLarge';
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;

  constructor({ statusCode, headers }: Omit<TextResponse, 'body'>) {
    super('the response is too large');
    this.statusCode = statusCode;
    this.headers = headers;
  }
}

/**
 * Sends one request and reads the whole response, without the streams and signals of undici's own `request`, which cost more than
 * the rest of a small request.
 *
 * @param maxBytes the limit of the body; a larger error page is left out
 * @throws ResponseTooLarge, undici's error if the connection fails, and the signal's reason as soon as it fires
 */
export function exchange(
  url: URL,
  { dispatcher, signal, ...options }: RequestOptions,
  maxBytes: number,
): Promise<TextResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<TextResponse>();
  let controller: Dispatcher.DispatchController | undefined;
  let head = { statusCode: 0, headers: {} as IncomingHttpHeaders };
  const chunks: Buffer[] = [];
  let size = 0;
  let limit = maxBytes;
  const fail = (error: Error): void => {
    signal.removeEventListener('abort', onAbort);
    reject(error);
  };
  const giveUp = (reason: Error): void => {
    fail(reason);
    controller?.abort(reason);
  };
  const onAbort = (): void => giveUp(signal.reason as Error);
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) {
    onAbort();
    return promise;
  }
  dispatcher.dispatch(
    { ...options, origin: url.origin, path: `${url.pathname}${url.search}` },
    {
      onRequestStart(started) {
        // It was given up while it waited for a connection. `started.abort` would also close that connection.
        signal.throwIfAborted();
        controller = started;
      },
      onResponseStart(_controller, statusCode, headers) {
        head = { statusCode, headers };
        limit = statusCode < 300 ? maxBytes : Math.min(maxBytes, MAX_ERROR_BYTES);
      },
      onResponseData(_controller, chunk) {
        size += chunk.length;
        if (size <= limit) {
          chunks.push(chunk);
          return;
        }
        if (head.statusCode >= 300) {
          resolve({ ...head, body: '' });
        }
        giveUp(new ResponseTooLarge(head));
      },
      onResponseEnd() {
        signal.removeEventListener('abort', onAbort);
        resolve({ ...head, body: Buffer.concat(chunks, size).toString('utf8') });
      },
      onResponseError: (_controller, error) => fail(error),
    },
  );
  return promise;
}

/** Sends one request and resolves when the response headers arrive; rejects as soon as the signal fires. */
export function request(url: URL, { dispatcher, ...options }: RequestOptions): Promise<Dispatcher.ResponseData> {
  const sent = send.call(dispatcher, { ...options, origin: url.origin, path: `${url.pathname}${url.search}` });
  // undici checks the signal only once the request has a connection. A request that was aborted before is not sent, so nothing
  // settles it.
  return unlessAborted(sent, options.signal);
}

/** A pool of kept-alive connections to each server. */
export function createAgent(options: AgentType.Options): Dispatcher {
  return new Agent(options);
}

/** A pool that connects through a proxy. */
export function createProxyAgent(options: ProxyAgentType.Options): Dispatcher {
  // Loaded as a whole, the package adds all its methods to every dispatcher; this agent calls only one of them.
  BareDispatcher.prototype.connect = connect;
  return new ProxyAgent(options);
}
