import { describe, expect, test } from 'vitest';
import { createPacer } from './pacer.ts';

/** A cluster that takes `capacity` creates a second and complains about more; returns what it took in `seconds`. */
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
  test('nothing limits a cluster that does not complain', () => {
    expect(createPacer().take(0, 1_000_000)).toBe(1_000_000);
  });

  test('a complaint halves the rate that was reached; soon it is back, then grows, and at last is forgotten', () => {
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

  test('creates that fail together are one complaint', () => {
    const pacer = createPacer();
    for (let at = 0; at < 1000; at += 10) {
      pacer.succeeded(at);
    }
    pacer.overloaded(1000);
    const once = pacer.rate(1010);
    pacer.overloaded(1005);
    expect(pacer.rate(1010)).toBe(once);
  });

  test('however often it complains, something is still tried each second', () => {
    const pacer = createPacer();
    for (let at = 0; at < 60_000; at += 300) {
      pacer.overloaded(at);
    }
    expect(pacer.rate(60_000)).toBeGreaterThanOrEqual(1);
  });

  test('a cluster that serves 500 a second is kept busy at over 80% of that, with few complaints', () => {
    const { taken, complaints } = drive(500, 25);
    expect(taken).toBeGreaterThan(10_000);
    expect(complaints / taken).toBeLessThan(0.2);
  });
});
