import type { Observation } from '../../src/ledger/observe-workflows.ts';

/** An observation of a running workflow, unconfirmed unless the fields say otherwise. */
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
