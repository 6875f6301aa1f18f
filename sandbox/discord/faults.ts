import { FaultRules, type RequestFault, type RequestRule } from '../request-faults.ts';

/** The rule's own answer. */
export interface CannedAnswer {
  readonly status: number;
  /** Discord's code; 0 by default. */
  readonly code?: number;
  readonly message?: string;
  /** Makes a 429: how long to wait, and who is limited. */
  readonly retryAfterMs?: number;
  readonly scope?: 'user' | 'global' | 'shared';
  /** Sent unchanged instead of Discord's JSON, e.g. a proxy's page. */
  readonly body?: string;
  /** Content type of {@link body}; `text/html` by default. */
  readonly contentType?: string;
}

export type FaultAction = RequestFault<CannedAnswer>;

export interface FaultRule extends RequestRule<CannedAnswer> {
  /** A route's name or the beginning of one (`webhook.`); unset is every route. */
  readonly route?: string;
}

/** The active rules for requests, by route name. */
export class RequestFaults extends FaultRules<CannedAnswer, FaultRule, string> {
  constructor(random: () => number) {
    super(random, ({ route = '' }, name) => name.startsWith(route));
  }
}
