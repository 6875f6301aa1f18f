import type { Resource } from './objects.ts';

export type Verb = 'create' | 'get' | 'list' | 'watch' | 'patch' | 'delete';

/** Which requests a rule is about; what is left out matches all. */
export interface RequestMatch {
  readonly verb?: Verb;
  readonly resource?: Resource;
  readonly namespace?: string;
  readonly name?: string;
}

/** An answer of the rule's own; without `body` it is a Status object. */
export interface CannedAnswer {
  readonly status: number;
  readonly reason?: string;
  readonly message?: string;
  readonly retryAfterSeconds?: number;
  /** Sent as it is, e.g. a proxy's HTML page. */
  readonly body?: string;
  readonly contentType?: string;
}

/**
 * What happens to a matching request.
 *
 *   answer   refused with this answer; nothing is done
 *   delay    goes on after `ms`
 *   hang     never answered; nothing is done
 *   reset    the connection is reset; nothing is done
 *   commit-then-answer, -hang, -reset   it IS done, and the client does not learn it
 */
export type FaultAction =
  | { readonly kind: 'answer' | 'commit-then-answer'; readonly answer: CannedAnswer }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'hang' | 'reset' | 'commit-then-hang' | 'commit-then-reset' };

export interface FaultRule {
  readonly match?: RequestMatch;
  readonly action: FaultAction;
  /** How many requests it hits; unset is all of them. */
  readonly times?: number;
  /** Hits only this share of them, by the seeded generator. */
  readonly probability?: number;
}

/** Creates beyond this many a second get 429, or wait for their turn. */
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

interface ActiveRule {
  readonly id: number;
  readonly rule: FaultRule;
  left: number;
}

/** The rules in force for single requests. The first rule that hits decides, except that delays add up. */
export class RequestFaults {
  readonly #random: () => number;
  #rules: ActiveRule[] = [];
  #nextId = 1;

  constructor(random: () => number) {
    this.#random = random;
  }

  add(rule: FaultRule): number {
    const id = this.#nextId;
    this.#nextId += 1;
    this.#rules.push({ id, rule, left: rule.times ?? Number.POSITIVE_INFINITY });
    return id;
  }

  remove(id: number): void {
    this.#rules = this.#rules.filter((active) => active.id !== id);
  }

  clear(): void {
    this.#rules = [];
  }

  /** The rules that have hits left. */
  list(): readonly { readonly id: number; readonly rule: FaultRule; readonly left: number | null }[] {
    return this.#rules.map(({ id, rule, left }) => ({ id, rule, left: Number.isFinite(left) ? left : null }));
  }

  /** What shall happen to this request; uses up one hit of each rule that applies. */
  take(facts: RequestFacts): { readonly delayMs: number; readonly action: FaultAction | undefined } {
    let delayMs = 0;
    let decided: FaultAction | undefined;
    for (const active of this.#rules) {
      if (!this.#hits(active, facts)) {
        continue;
      }
      active.left -= 1;
      const { action } = active.rule;
      if (action.kind === 'delay') {
        delayMs += action.ms;
      } else {
        decided = action;
        break;
      }
    }
    this.#rules = this.#rules.filter(({ left }) => left > 0);
    return { delayMs, action: decided };
  }

  #hits({ rule, left }: ActiveRule, facts: RequestFacts): boolean {
    return left > 0 && requestMatches(rule.match ?? {}, facts) && this.#random() < (rule.probability ?? 1);
  }
}

export function requestMatches(match: RequestMatch, facts: RequestFacts): boolean {
  return (['verb', 'resource', 'namespace', 'name'] as const).every(
    (key) => match[key] === undefined || match[key] === facts[key],
  );
}

/** Spreads creates over time; a burst of one second's worth passes at once. */
export class RateGate {
  #rate: CreateRate | undefined;
  #tokens = 0;
  #filledAt = 0;

  set(rate: CreateRate | undefined, nowMs: number): void {
    this.#rate = rate;
    this.#tokens = rate?.perSecond ?? 0;
    this.#filledAt = nowMs;
  }

  /** Milliseconds to wait before this create may go on, or undefined when it is refused. */
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
