import type { ServerResponse } from 'node:http';
import { resetConnection } from './simulation-server.ts';

/**
 * What happens to a matching request.
 *
 *   answer   refused with this answer; nothing is done
 *   delay    continues after `ms`
 *   hold     continues when the rule is removed
 *   hang     never answered; nothing is done
 *   reset    the connection is reset; nothing is done
 *   commit-then-answer, -hang, -reset   it IS done, but the client does not learn it
 */
export type RequestFault<Canned> =
  | { readonly kind: 'answer' | 'commit-then-answer'; readonly answer: Canned }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'hold' | 'hang' | 'reset' | 'commit-then-hang' | 'commit-then-reset' };

/** A fault, and how often it applies. */
export interface RequestRule<Canned> {
  readonly action: RequestFault<Canned>;
  /** How many requests it affects; all if unset. */
  readonly times?: number;
  /** Affects only this share of them, chosen by the seeded generator. */
  readonly probability?: number;
}

interface ActiveRule<Rule> {
  readonly id: number;
  readonly rule: Rule;
  /** Settles when the rule is removed. */
  readonly removed: PromiseWithResolvers<void>;
  left: number;
}

/** The fault of one request. */
interface Decision<Canned> {
  readonly delayMs: number;
  /** The request continues when these have settled. */
  readonly holds: readonly Promise<void>[];
  readonly action: RequestFault<Canned> | undefined;
}

/** The active rules for single requests. The first matching rule decides, except that delays and holds add up. */
export class FaultRules<Canned, Rule extends RequestRule<Canned>, Facts> {
  readonly #random: () => number;
  readonly #matches: (rule: Rule, facts: Facts) => boolean;
  #rules: ActiveRule<Rule>[] = [];
  #nextId = 1;

  constructor(random: () => number, matches: (rule: Rule, facts: Facts) => boolean) {
    this.#random = random;
    this.#matches = matches;
  }

  add(rule: Rule): number {
    const id = this.#nextId;
    this.#nextId += 1;
    this.#rules.push({ id, rule, removed: Promise.withResolvers(), left: rule.times ?? Number.POSITIVE_INFINITY });
    return id;
  }

  remove(id: number): void {
    this.#rules.filter((active) => active.id === id).forEach(({ removed }) => removed.resolve());
    this.#rules = this.#rules.filter((active) => active.id !== id);
  }

  clear(): void {
    this.#rules.forEach(({ removed }) => removed.resolve());
    this.#rules = [];
  }

  /** The rules that still apply. */
  list(): readonly { readonly id: number; readonly rule: Rule; readonly left: number | null }[] {
    return this.#rules.map(({ id, rule, left }) => ({ id, rule, left: Number.isFinite(left) ? left : null }));
  }

  /** Decides the fault of a request and counts it for each rule that applies. */
  take(facts: Facts): Decision<Canned> {
    let delayMs = 0;
    const holds: Promise<void>[] = [];
    let decided: RequestFault<Canned> | undefined;
    for (const active of this.#rules) {
      if (!this.#hits(active, facts)) {
        continue;
      }
      active.left -= 1;
      const { action } = active.rule;
      if (action.kind === 'delay') {
        delayMs += action.ms;
      } else if (action.kind === 'hold') {
        holds.push(active.removed.promise);
      } else {
        decided = action;
        break;
      }
    }
    // A rule that holds requests stays until it is removed.
    this.#rules = this.#rules.filter(({ left, rule }) => left > 0 || rule.action.kind === 'hold');
    return { delayMs, holds, action: decided };
  }

  #hits({ rule, left }: ActiveRule<Rule>, facts: Facts): boolean {
    return left > 0 && this.#matches(rule, facts) && this.#random() < (rule.probability ?? 1);
  }
}

type SendCanned<Canned> = (response: ServerResponse, answer: Canned) => void;

/** Applies faults before anything is done; true if the request ends here. */
export function preempt<Canned>(
  action: RequestFault<Canned> | undefined,
  response: ServerResponse,
  sendCanned: SendCanned<Canned>,
): boolean {
  switch (action?.kind) {
    case 'answer':
      sendCanned(response, action.answer);
      return true;
    case 'reset':
      resetConnection(response);
      return true;
    case 'hang':
      return true;
    default:
      return false;
  }
}

/** Applies faults after everything is done; true if the answer must not be sent. */
export function withhold<Canned>(
  action: RequestFault<Canned> | undefined,
  response: ServerResponse,
  sendCanned: SendCanned<Canned>,
): boolean {
  switch (action?.kind) {
    case 'commit-then-answer':
      sendCanned(response, action.answer);
      return true;
    case 'commit-then-reset':
      resetConnection(response);
      return true;
    case 'commit-then-hang':
      return true;
    default:
      return false;
  }
}
