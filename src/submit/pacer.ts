/**
 * How fast creates may be sent, by what the cluster says of it: additive increase, multiplicative decrease. Without a
 * complaint there is no limit but the number of connections. A complaint (429, 5xx, time-out) halves the rate; it is soon
 * back near where it was and then feels its way up, slowly at first and ever faster (the shape of CUBIC, RFC 9438), so
 * that a cluster that serves a steady rate is kept busy at nearly that rate, and a wrong guess is soon left behind.
 */
export interface Pacer {
  /** The present rate in creates a second; Infinity when nothing limits it. */
  rate(nowMs: number): number;
  /** A create was taken. */
  succeeded(nowMs: number): void;
  /** The cluster had too much. Complaints about creates that were sent together count once. */
  overloaded(nowMs: number): void;
  /** How many creates may start now; each counts as started. */
  take(nowMs: number, wanted: number): number;
}

/** Creates that were under way together fail together: one answer to one overload. */
const COMPLAINT_WINDOW_MS = 250;
const RECOVERY_MS = 300;
/** After the recovery the rate grows by this share of the ceiling times the cube of the seconds since. */
const GROWTH = 0.5;
/** A cluster that has not complained for so long is not asked to go slowly any more. */
const FORGET_MS = 10_000;
const MIN_RATE = 1;
/** Creates that may start at once after a pause, as seconds of the rate. */
const BURST_SECONDS = 0.1;
/** What the cluster takes is measured over this time: over less, a burst that it let pass would count as its rate. */
const MEASURE_MS = 1000;
/** The rate that is supposed of a cluster that complains before it has taken anything to measure by. */
const UNKNOWN_RATE = 10;
/** What was too much is a little more than what can be served, so recovery aims a little below it. */
const AIM = 0.9;

export function createPacer(): Pacer {
  let ceiling = Infinity;
  let complainedAt = -Infinity;
  let tokens = 0;
  let filledAt = 0;
  let successes: number[] = [];

  const rate = (nowMs: number): number => {
    const since = nowMs - complainedAt;
    if (since >= FORGET_MS) {
      return Infinity;
    }
    if (since < RECOVERY_MS) {
      return Math.max(MIN_RATE, ceiling * (0.5 + (0.5 * since) / RECOVERY_MS));
    }
    return Math.max(MIN_RATE, ceiling * (1 + GROWTH * ((since - RECOVERY_MS) / 1000) ** 3));
  };

  const measured = (nowMs: number): number => {
    successes = successes.filter((at) => at >= nowMs - MEASURE_MS);
    return (successes.length * 1000) / MEASURE_MS;
  };

  /** What was too much, as far as it is known: never less than half of what was tried, for that may not have been the reason. */
  const tooMuch = (nowMs: number): number => {
    const tried = rate(nowMs);
    const taken = measured(nowMs);
    return tried === Infinity ? Math.max(UNKNOWN_RATE, taken) : Math.min(tried, Math.max(tried / 2, taken));
  };

  return {
    rate,
    succeeded(nowMs) {
      successes.push(nowMs);
      if (successes.length > 10_000) {
        measured(nowMs);
      }
    },
    overloaded(nowMs) {
      if (nowMs - complainedAt < COMPLAINT_WINDOW_MS) {
        return;
      }
      ceiling = Math.max(MIN_RATE, AIM * tooMuch(nowMs));
      complainedAt = nowMs;
      tokens = 0;
      filledAt = nowMs;
    },
    take(nowMs, wanted) {
      const current = rate(nowMs);
      if (current === Infinity) {
        return wanted;
      }
      const burst = Math.max(1, current * BURST_SECONDS);
      tokens = Math.min(burst, tokens + (current * (nowMs - filledAt)) / 1000);
      filledAt = nowMs;
      const taken = Math.min(wanted, Math.floor(tokens));
      tokens -= taken;
      return taken;
    },
  };
}
