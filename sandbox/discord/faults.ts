import { FaultRules, type RequestFault, type RequestRule } from '../request-faults.ts';

/** An answer of the rule's own. */
export interface CannedAnswer {
  readonly status: number;
  /** Discord's number; 0 unless said otherwise. */
  readonly code?: number;
  readonly message?: string;
  /** Makes a 429: how long to wait, and who is limited. */
  readonly retryAfterMs?: number;
  readonly scope?: 'user' | 'global' | 'shared';
  /** Sent unchanged instead of Discord's JSON, e.g. a proxy's page. */
  readonly body?: string;
  /** Of {@link body}; `text/html` unless said otherwise. */
  readonly contentType?: string;
}

export type FaultAction = RequestFault<CannedAnswer>;

export interface FaultRule extends RequestRule<CannedAnswer> {
  /** A route's name or the beginning of one (`webhook.`); unset is every route. */
  readonly route?: string;
}

/** The rules in force for requests, by their route's name. */
export class RequestFaults extends FaultRules<CannedAnswer, FaultRule, string> {
  constructor(random: () => number) {
    super(random, ({ route = '' }, name) => name.startsWith(route));
  }
}
