import type { Observation } from '../../src/ledger/observe-workflows.ts';

/** What a look at a running workflow showed, by an event that nobody has confirmed unless the fields say so. */
export function observation(fields: Partial<Observation> & Pick<Observation, 'name' | 'uid'>): Observation {
  return {
    namespace: 'argo',
    deliveryLabel: '',
    version: undefined,
    state: 'running',
    progress: '',
    reason: '',
    startedAt: undefined,
    finishedAt: undefined,
    resources: {},
    confirmed: false,
    ...fields,
  };
}
