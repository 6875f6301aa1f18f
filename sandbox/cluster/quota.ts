import { quotaForbidden } from './api-failure.ts';
import type { Store } from './store.ts';

/** A ResourceQuota on `count/workflows.argoproj.io`. */
export interface Quota {
  readonly name: string;
  readonly limit: number;
  /** False until the quota controller has computed it; nothing is admitted before. */
  readonly counted?: boolean;
}

const RESOURCE = 'count/workflows.argoproj.io';

/** Refuses (403) a workflow that exceeds the quota, with the text of the quota's admission plugin. */
export function checkQuota(store: Store, namespace: string, name: string, quota: Quota): void {
  if (quota.counted === false) {
    throw quotaForbidden(name, `status unknown for quota: ${quota.name}, resources: ${RESOURCE}`);
  }
  let used = 0;
  for (const { object } of store.all('workflows')) {
    used += object.metadata.namespace === namespace ? 1 : 0;
  }
  if (used + 1 > quota.limit) {
    const numbers = `requested: ${RESOURCE}=1, used: ${RESOURCE}=${used}, limited: ${RESOURCE}=${quota.limit}`;
    throw quotaForbidden(name, `exceeded quota: ${quota.name}, ${numbers}`);
  }
}
