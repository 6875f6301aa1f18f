import type { Agent as AgentType, Dispatcher, ProxyAgent as ProxyAgentType } from 'undici';
import connect from 'undici/lib/api/api-connect.js';
import send from 'undici/lib/api/api-request.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import BareDispatcher from 'undici/lib/dispatcher/dispatcher.js';
import ProxyAgent from 'undici/lib/dispatcher/proxy-agent.js';

/*
 * The parts of undici that facteur uses. The package as a whole also loads fetch, WebSocket, caches and mocks: a third of the
 * time in which `serve` loaded its code.
 */

type RequestOptions = Omit<Dispatcher.RequestOptions, 'origin' | 'path'> & { readonly dispatcher: Dispatcher };

/** Sends one request, and resolves when the head of its response is there. */
export function request(url: URL, { dispatcher, ...options }: RequestOptions): Promise<Dispatcher.ResponseData> {
  return send.call(dispatcher, { ...options, origin: url.origin, path: `${url.pathname}${url.search}` });
}

/** A pool of kept-alive connections to each server. */
export function createAgent(options: AgentType.Options): Dispatcher {
  return new Agent(options);
}

/** The same through a proxy. */
export function createProxyAgent(options: ProxyAgentType.Options): Dispatcher {
  // Loaded as a whole, the package adds all its methods to every dispatcher; this agent calls only one of them.
  BareDispatcher.prototype.connect = connect;
  return new ProxyAgent(options);
}
