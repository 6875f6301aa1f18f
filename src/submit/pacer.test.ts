import { describe, expect, test } from 'vitest';
import { createPacer } from './pacer.ts';

/** A cluster that accepts `capacity` creates per second and rejects more. Returns what it accepted in `seconds`. */
function drive(capacity: number, seconds: number) {
  const pacer = createPacer();
  let taken = 0;
  let complaints = 0;
  let allowance = 0;
  for (let now = 0; now < seconds * 1000; now += 10) {
    allowance = Math.min(capacity / 10, allowance + capacity / 100);
    const sent = pacer.take(now, 64);
    const served = Math.min(sent, Math.floor(allowance));
    allowance -= served;
    taken += served;
    for (let i = 0; i < served; i += 1) {
      pacer.succeeded(now);
    }
    if (served < sent) {
      complaints += sent - served;
      pacer.overloaded(now);
    }
  }
  return { taken, complaints };
}

describe('pacer', () => {
  test('there is no limit for a cluster that is not overloaded', () => {
    expect(createPacer().take(0, 1_000_000)).toBe(1_000_000);
  });

  test('an overload halves the current rate, which soon recovers, then grows, and finally is unlimited', () => {
    const pacer = createPacer();
    for (let at = 0; at < 1000; at += 10) {
      pacer.succeeded(at);
    }
    pacer.overloaded(1000);
    expect(pacer.rate(1000)).toBeCloseTo(45);
    expect(pacer.rate(1150)).toBeCloseTo(67.5);
    expect(pacer.rate(1300)).toBeCloseTo(90);
    expect(pacer.rate(2300)).toBeCloseTo(135);
    expect(pacer.rate(11_000)).toBe(Infinity);
  });

  test('creates that fail together count as one overload', () => {
    const pacer = createPacer();
    for (let at = 0; at < 1000; at += 10) {
      pacer.succeeded(at);
    }
    pacer.overloaded(1000);
    const once = pacer.rate(1010);
    pacer.overloaded(1005);
    expect(pacer.rate(1010)).toBe(once);
  });

  test('the rate stays at least 1 per second, however often the cluster is overloaded', () => {
    const pacer = createPacer();
    for (let at = 0; at < 60_000; at += 300) {
      pacer.overloaded(at);
    }
    expect(pacer.rate(60_000)).toBeGreaterThanOrEqual(1);
  });

  test('uses over 80% of a cluster that serves 500 per second, with few rejections', () => {
    const { taken, complaints } = drive(500, 25);
    expect(taken).toBeGreaterThan(10_000);
    expect(complaints / taken).toBeLessThan(0.2);
  });
});
