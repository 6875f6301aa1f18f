import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ageFactor, baseline, difference, harmOf, outcomeFactor, wilson } from './usefulness.ts';

const counts = fc.record({ helped: fc.nat(1000), hurt: fc.nat(1000) });
const share = fc.double({ min: 0, max: 1, noNaN: true });
const DAY = 24 * 60 * 60 * 1000;

describe('wilson', () => {
  test.each([
    [0, 0, 0, 1],
    [0, 10, 0, 0.278],
    [5, 10, 0.237, 0.763],
    [10, 10, 0.722, 1],
    [81, 263, 0.255, 0.366],
  ])('%i of %i', (successes, trials, low, high) => {
    const interval = wilson(successes, trials);
    expect(interval.low).toBeCloseTo(low, 3);
    expect(interval.high).toBeCloseTo(high, 3);
  });

  test('contains the success rate, and narrows with more trials', () => {
    fc.assert(
      fc.property(counts, ({ helped, hurt }) => {
        const trials = helped + hurt;
        const { low, high } = wilson(helped, trials);
        expect(low).toBeLessThanOrEqual(trials === 0 ? 0 : helped / trials + 1e-9);
        expect(high).toBeGreaterThanOrEqual(trials === 0 ? 1 : helped / trials - 1e-9);
        const more = wilson(10 * helped, 10 * trials);
        expect(more.high - more.low).toBeLessThanOrEqual(high - low + 1e-9);
      }),
    );
  });
});

describe('outcomeFactor', () => {
  test.each([
    ['nothing known', [0, 0], 0.5, 1],
    ['as good as without', [5, 5], 0.5, 1],
    ['always helped', [100, 0], 0.5, 1.24],
    ['always hurt', [0, 100], 0.5, 0.76],
    ['one failure says little', [0, 1], 0.5, 0.95],
    ['failures where nearly all fail', [1, 9], 0.1, 1],
  ] as const)('%s', (_what, [helped, hurt], expected, factor) => {
    expect(outcomeFactor({ helped, hurt }, expected)).toBeCloseTo(factor, 2);
  });

  test('stays between 0.75 and 1.25, and grows with success', () => {
    fc.assert(
      fc.property(counts, share, ({ helped, hurt }, expected) => {
        const factor = outcomeFactor({ helped, hurt }, expected);
        expect(factor).toBeGreaterThanOrEqual(0.75);
        expect(factor).toBeLessThanOrEqual(1.25);
        expect(outcomeFactor({ helped: helped + 1, hurt }, expected)).toBeGreaterThanOrEqual(factor - 1e-12);
        expect(outcomeFactor({ helped, hurt: hurt + 1 }, expected)).toBeLessThanOrEqual(factor + 1e-12);
      }),
    );
  });
});

test('the factor decays from 1 towards 0.5 with a half-life of 180 days, and a clock that is behind gives 1', () => {
  expect(ageFactor(0)).toBe(1);
  expect(ageFactor(180 * DAY)).toBeCloseTo(0.75);
  expect(ageFactor(36_000 * DAY)).toBeCloseTo(0.5);
  expect(ageFactor(-DAY)).toBe(1);
});

test('the baseline is the repository itself once it has runs, else the command in all repositories', () => {
  const everywhere = { helped: 900, hurt: 100 };
  expect(baseline({ everywhere, here: { helped: 0, hurt: 0 } })).toBeCloseTo(0.9, 2);
  expect(baseline({ everywhere, here: { helped: 20, hurt: 180 } })).toBeCloseTo(0.138, 2);
  expect(baseline({ everywhere: { helped: 0, hurt: 0 }, here: { helped: 0, hurt: 0 } })).toBe(0.5);
});

describe('harmOf', () => {
  test.each([
    ['too few outcomes', [0, 7], 1, false],
    // At most 0.32 of them succeed.
    ['just enough outcomes, worse by more than a tenth', [0, 8], 0.44, true],
    ['worse by less', [0, 8], 0.41, false],
    ['clearly worse', [1, 9], 0.71, true],
    ['as bad as the repository', [1, 9], 0.15, false],
    ['worse, but not certainly', [4, 4], 0.8, false],
    ['always helped', [50, 0], 0.5, false],
  ] as const)('%s', (_what, [helped, hurt], expected, harmful) => {
    expect(harmOf({ helped, hurt }, expected) !== undefined).toBe(harmful);
  });

  test('gives the numbers', () => {
    expect(harmOf({ helped: 1, hurt: 9 }, 0.71)).toBe(
      '1 of 10 runs that received it succeeded (at most 0.40, 95 %), 0.71 without',
    );
  });
});

test("a difference has Newcombe's interval, and needs runs on both sides", () => {
  // Newcombe 1998, table II, method 10: 56/70 and 48/80.
  const { value = NaN, low = NaN, high = NaN } = difference({ helped: 56, hurt: 14 }, { helped: 48, hurt: 32 }) ?? {};
  expect([value, low, high].map((one) => Math.round(one * 10_000) / 10_000)).toEqual([0.2, 0.0524, 0.3339]);
  expect(difference({ helped: 1, hurt: 0 }, { helped: 0, hurt: 0 })).toBeUndefined();
});
