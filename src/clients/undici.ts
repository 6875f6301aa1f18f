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
