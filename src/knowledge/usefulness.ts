/**
 * The outcomes of runs that received a reflection. Only success and failure count: runs that were canceled, lost or refused, or
 * ended in an error of the cluster, say nothing about the advice.
 */
export interface Outcomes {
  readonly helped: number;
  readonly hurt: number;
}

/** Bounds of a proportion. */
interface Interval {
  readonly low: number;
  readonly high: number;
}

/** The normal quantile of a 95 % interval. */
const Z = 1.96;
/** This many imagined runs with the usual success rate pull an early estimate toward it. */
const PRIOR_RUNS = 4;
/** The same for a repository with few runs, toward the command's success rate in all repositories. */
const BASELINE_PRIOR_RUNS = 10;
/** Expected success rate before anything has run. */
const UNKNOWN = 0.5;
const HALF_LIFE_DAYS = 180;
/** Retirement requires at least this many outcomes, and a success rate this much lower than without. */
export const MIN_OUTCOMES = 8;
const MARGIN = 0.1;

/** The Wilson score interval at 95 %: reliable for few runs, unlike the normal approximation. */
export function wilson(successes: number, trials: number): Interval {
  if (trials === 0) {
    return { low: 0, high: 1 };
  }
  const share = successes / trials;
  const square = Z * Z;
  const centre = share + square / (2 * trials);
  const spread = Z * Math.sqrt((share * (1 - share)) / trials + square / (4 * trials * trials));
  const scale = 1 + square / trials;
  return { low: Math.max(0, (centre - spread) / scale), high: Math.min(1, (centre + spread) / scale) };
}

/** The difference of two proportions, with Newcombe's interval at 95 %; undefined while either has no trials. */
export function difference(one: Outcomes, other: Outcomes): (Interval & { readonly value: number }) | undefined {
  const [a, b] = [proportion(one), proportion(other)];
  if (a === undefined || b === undefined) {
    return undefined;
  }
  const value = a.share - b.share;
  return {
    value,
    low: value - Math.hypot(a.share - a.low, b.high - b.share),
    high: value + Math.hypot(a.high - a.share, b.share - b.low),
  };
}

function proportion({ helped, hurt }: Outcomes): (Interval & { readonly share: number }) | undefined {
  const trials = helped + hurt;
  return trials === 0 ? undefined : { share: helped / trials, ...wilson(helped, trials) };
}

/** Runs without reflections: of a command in all repositories, and in the repository in question. */
export interface Comparison {
  readonly everywhere: Outcomes;
  readonly here: Outcomes;
}

/**
 * The expected success rate without reflections. Advice for a repository in which most runs fail is compared with that repository
 * once it has enough runs.
 */
export function baseline({ everywhere, here }: Comparison): number {
  const anywhere = shrunken(everywhere, UNKNOWN, PRIOR_RUNS);
  return shrunken(here, anywhere, BASELINE_PRIOR_RUNS);
}

function shrunken({ helped, hurt }: Outcomes, towards: number, runs: number): number {
  return (helped + runs * towards) / (helped + hurt + runs);
}

/** How much the outcomes raise or lower a rank: 0.75 to 1.25, so they never override relevance. */
export function outcomeFactor(outcomes: Outcomes, expected: number): number {
  const estimate = shrunken(outcomes, expected, PRIOR_RUNS);
  return Math.min(1.25, Math.max(0.75, 0.75 + 0.5 * (estimate - expected + 0.5)));
}

/** How much age lowers a rank: 1 for a new reflection, 0.75 after 180 days, never below 0.5. */
export function ageFactor(ageMs: number): number {
  const days = Math.max(0, ageMs) / (24 * 60 * 60 * 1000);
  return 0.5 + 0.5 * 2 ** (-days / HALF_LIFE_DAYS);
}

/**
 * Why a reflection should be retired: runs that received it succeeded clearly less often than expected without it.
 * Undefined while that is not certain.
 */
export function harmOf({ helped, hurt }: Outcomes, expected: number): string | undefined {
  const runs = helped + hurt;
  const { high } = wilson(helped, runs);
  return runs >= MIN_OUTCOMES && high < expected - MARGIN
    ? `${helped} of ${runs} runs that received it succeeded (at most ${high.toFixed(2)}, 95 %), ${expected.toFixed(2)} without`
    : undefined;
}
