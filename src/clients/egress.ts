import type { Dispatcher } from 'undici';
import type { Secret } from '../base/secret.ts';
import { unlessAborted } from '../base/within.ts';
import { createAgent, createProxyAgent } from './undici.ts';

interface EgressOptions {
  readonly connections: number;
  readonly connectTimeoutMs: number;
  /** Through which the other system is reached, where there is one. */
  readonly proxy?: Secret;
}

/** A pool of kept-alive connections to another system. */
export function egressAgent({ connections, connectTimeoutMs, proxy }: EgressOptions): Dispatcher {
  const connect = { timeout: connectTimeoutMs };
  return proxy === undefined
    ? createAgent({ connections, connect })
    : createProxyAgent({ uri: proxy.reveal(), connections, proxyTls: connect, requestTls: connect });
}

/**
 * Closes a pool after its requests, which take `timeoutMs` at the most. One that was given up while it waited for a
 * connection is still in the pool, for minutes behind a proxy that does not answer.
 */
export async function closeAgent(agent: Dispatcher, timeoutMs: number): Promise<void> {
  await unlessAborted(agent.close(), AbortSignal.timeout(timeoutMs)).catch(() => agent.destroy());
}
