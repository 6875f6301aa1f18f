/** An answer of the rule's own. */
export interface CannedAnswer {
  readonly status: number;
  /** Discord's number; 0 unless said otherwise. */
  readonly code?: number;
  readonly message?: string;
  /** Makes a 429: how long to wait, and who is limited. */
  readonly retryAfterMs?: number;
  readonly scope?: 'user' | 'global' | 'shared';
  /** Sent as it is, e.g. a proxy's HTML page. */
  readonly body?: string;
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
  /** A route's name or the beginning of one (`webhook.`); unset is every route. */
  readonly route?: string;
  readonly action: FaultAction;
  /** How many requests it hits; unset is all of them. */
  readonly times?: number;
  /** Hits only this share of them, by the seeded generator. */
  readonly probability?: number;
}

interface ActiveRule {
  readonly id: number;
  readonly rule: FaultRule;
  left: number;
}

/** The rules in force. The first rule that hits decides, except that delays add up. */
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

  /** What shall happen to a request of this route; uses up one hit of each rule that applies. */
  take(route: string): { readonly delayMs: number; readonly action: FaultAction | undefined } {
    let delayMs = 0;
    let decided: FaultAction | undefined;
    for (const active of this.#rules) {
      if (!route.startsWith(active.rule.route ?? '') || this.#random() >= (active.rule.probability ?? 1)) {
        continue;
      }
      active.left -= 1;
      if (active.rule.action.kind !== 'delay') {
        decided = active.rule.action;
        break;
      }
      delayMs += active.rule.action.ms;
    }
    this.#rules = this.#rules.filter(({ left }) => left > 0);
    return { delayMs, action: decided };
  }
}
