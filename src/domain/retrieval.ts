/**
 * The outcome of a search for reflections on behalf of a run.
 *
 * retrieve         the run receives some
 * holdout          there were some, but the run is in the share that receives none, for comparison
 * disabled         the process that submitted the run does not retrieve
 * nothing_similar  there were none
 * timed_out        the search was too slow, or failed
 */
export const RETRIEVAL_STRATEGIES = ['retrieve', 'holdout', 'disabled', 'nothing_similar', 'timed_out'] as const;

export type RetrievalStrategy = (typeof RETRIEVAL_STRATEGIES)[number];

/** The policy name under which the decision is recorded, as in the docs of the Go service's lab. */
export const ROUTER_POLICY = 'retrieval.router';

/** The type of the artifact that contains a decision's candidates. */
export const RETRIEVAL_LOG = 'retrieval_decision_log';
