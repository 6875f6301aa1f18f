/**
 * The rate of creates, adapted to the cluster: additive increase, multiplicative decrease. Without complaints only
 * the number of connections limits it. A complaint (429, 5xx, timeout) halves the rate. It soon recovers to nearly
 * its old value and then grows, slowly at first and faster later (the shape of CUBIC, RFC 9438), so that a cluster
 * with a steady capacity is used at nearly that rate, and a wrong guess is corrected quickly.
 */
interface Pacer {
  /** The current rate in creates per second; Infinity without a limit. */
  rate(nowMs: number): number;
  /** A create was accepted. */
  succeeded(nowMs: number): void;
  /** The cluster was overloaded. Complaints about creates that were sent together count once. */
  overloaded(nowMs: number): void;
  /** How many creates may start now; each counts as started. */
  take(nowMs: number, wanted: number): number;
}

/** Creates that are in flight together fail together: they all report one overload. */
const COMPLAINT_WINDOW_MS = 250;
const RECOVERY_MS = 300;
/** After the recovery the rate grows by this share of the ceiling times the cube of the seconds since. */
const GROWTH = 0.5;
/** After this long without a complaint the limit is lifted. */
const FORGET_MS = 10_000;
const MIN_RATE = 1;
/** Creates that may start immediately after a pause, as seconds of the rate. */
const BURST_SECONDS = 0.1;
/** The cluster's rate is measured over this time: in a shorter one, a burst that it accepted would count as its rate. */
const MEASURE_MS = 1000;
/** The assumed rate of a cluster that complains before it has accepted anything to measure. */
const UNKNOWN_RATE = 10;
/** The overload rate is a little above the capacity, so recovery aims a little below it. */
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

  /** The best estimate of the overload rate: never less than half of the attempted rate, which may not have been the cause. */
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
