import { ApiFailure, type Asker, forbidden, storageInitializing } from './api-failure.ts';
import type { RequestFacts } from './faults.ts';

/**
 * The remaining start-up phases of an API server, in this order.
 *
 *   forbidden     reads its RBAC: it answers 403 to every request
 *   installing    reads its custom resources: it answers 503 to requests for one
 *   initializing  fills the caches for lists and watches: it answers 429 to those
 */
export const STARTUP = ['forbidden', 'installing', 'initializing', 'ready'] as const;
export type Stage = (typeof STARTUP)[number];

/** Why a request for workflows or templates must wait; undefined if it need not. */
export function startupRefusal(
  stage: Stage,
  wanted: RequestFacts & { readonly query: URLSearchParams },
  asker: Asker,
): ApiFailure | undefined {
  switch (stage) {
    case 'forbidden':
      return forbidden(wanted, asker);
    case 'installing':
      return new ApiFailure(
        503,
        'ServiceUnavailable',
        'the request has been made before all known HTTP paths have been installed, please try again',
        { retryAfterSeconds: 5 },
      );
    case 'initializing':
      return isCached(wanted) ? storageInitializing() : undefined;
    case 'ready':
      return undefined;
  }
}

/** Whether the answer comes from the cache. A page of the newest version is read from etcd. */
function isCached({ verb, query }: RequestFacts & { readonly query: URLSearchParams }): boolean {
  const isPage = Number(query.get('limit') ?? 0) > 0 && (query.get('resourceVersion') ?? '') === '';
  return verb === 'watch' || (verb === 'list' && !isPage);
}
