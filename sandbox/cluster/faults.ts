import { FaultRules, type RequestFault, type RequestRule } from '../request-faults.ts';
import type { Resource } from './objects.ts';

export type Verb = 'create' | 'get' | 'list' | 'watch' | 'patch' | 'delete';

/** The requests that a rule matches; omitted fields match all. */
export interface RequestMatch {
  readonly verb?: Verb;
  readonly resource?: Resource;
  readonly namespace?: string;
  readonly name?: string;
}

/** The rule's own answer; without `body` it is a Status object. */
export interface CannedAnswer {
  readonly status: number;
  readonly reason?: string;
  readonly message?: string;
  readonly retryAfterSeconds?: number;
  /** Sent unchanged, e.g. a proxy's HTML page. */
  readonly body?: string;
  readonly contentType?: string;
}

export type FaultAction = RequestFault<CannedAnswer>;

export interface FaultRule extends RequestRule<CannedAnswer> {
  readonly match?: RequestMatch;
}

/** Creates beyond this many per second get 429, or wait for their turn. */
export interface CreateRate {
  readonly perSecond: number;
  readonly over: 'reject' | 'queue';
}

export interface RequestFacts {
  readonly verb: Verb;
  readonly resource: Resource;
  readonly namespace: string;
  readonly name: string;
}

/** The active rules for API requests. */
export class RequestFaults extends FaultRules<CannedAnswer, FaultRule, RequestFacts> {
  constructor(random: () => number) {
    super(random, ({ match = {} }, facts) => requestMatches(match, facts));
  }
}

export function requestMatches(match: RequestMatch, facts: RequestFacts): boolean {
  return (['verb', 'resource', 'namespace', 'name'] as const).every(
    (key) => match[key] === undefined || match[key] === facts[key],
  );
}

/** Spreads creates over time; a burst of one second's worth passes immediately. */
export class RateGate {
  #rate: CreateRate | undefined;
  #tokens = 0;
  #filledAt = 0;

  set(rate: CreateRate | undefined, nowMs: number): void {
    this.#rate = rate;
    this.#tokens = rate?.perSecond ?? 0;
    this.#filledAt = nowMs;
  }

  /** Milliseconds to delay this create, or undefined if it is refused. */
  admit(nowMs: number): number | undefined {
    if (this.#rate === undefined) {
      return 0;
    }
    const { perSecond, over } = this.#rate;
    this.#tokens = Math.min(perSecond, this.#tokens + ((nowMs - this.#filledAt) / 1000) * perSecond);
    this.#filledAt = nowMs;
    if (this.#tokens < 1 && over === 'reject') {
      return undefined;
    }
    this.#tokens -= 1;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / perSecond) * 1000;
  }
}
