import type { Dispatcher } from 'undici';
import type { Secret } from '../base/secret.ts';
import { unlessAborted } from '../base/within.ts';
import { createAgent, createProxyAgent } from './undici.ts';

interface EgressOptions {
  readonly connections: number;
  readonly connectTimeoutMs: number;
  /** The proxy to reach the other system through, if any. */
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
 * Closes a pool after its requests, which take at most `timeoutMs`. A request that was abandoned while it waited for a connection
 * stays in the pool, for minutes if a proxy does not answer.
 */
export async function closeAgent(agent: Dispatcher, timeoutMs: number): Promise<void> {
  await unlessAborted(agent.close(), AbortSignal.timeout(timeoutMs)).catch(() => agent.destroy());
}
