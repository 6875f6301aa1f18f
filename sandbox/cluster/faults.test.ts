import { describe, expect, test } from 'vitest';
import { RateGate, RequestFaults, type RequestFacts } from './faults.ts';
import { seededRandom } from './random.ts';

const create: RequestFacts = { verb: 'create', resource: 'workflows', namespace: 'a', name: '' };
const get: RequestFacts = { verb: 'get', resource: 'workflows', namespace: 'a', name: 'x' };

describe('request faults', () => {
  test('a rule applies only to matching requests, and only the given number of times', () => {
    const faults = new RequestFaults(seededRandom(1));
    faults.add({ match: { verb: 'create' }, action: { kind: 'reset' }, times: 2 });
    expect(faults.take(get).action).toBeUndefined();
    expect(faults.take(create).action).toEqual({ kind: 'reset' });
    expect(faults.take(create).action).toEqual({ kind: 'reset' });
    expect(faults.take(create).action).toBeUndefined();
    expect(faults.list()).toEqual([]);
  });

  test('delays add up before the first rule with another action', () => {
    const faults = new RequestFaults(seededRandom(1));
    faults.add({ action: { kind: 'delay', ms: 10 } });
    faults.add({ action: { kind: 'delay', ms: 5 } });
    faults.add({ match: { name: 'x' }, action: { kind: 'hang' } });
    expect(faults.take(get)).toEqual({ delayMs: 15, holds: [], action: { kind: 'hang' } });
    expect(faults.take(create)).toEqual({ delayMs: 15, holds: [], action: undefined });
  });

  test('a rule can be removed by its id', () => {
    const faults = new RequestFaults(seededRandom(1));
    const id = faults.add({ action: { kind: 'reset' } });
    faults.remove(id);
    expect(faults.take(create).action).toBeUndefined();
  });

  test('a probability applies to about that share of requests, reproducible by seed', () => {
    const hits = (seed: number): boolean[] => {
      const faults = new RequestFaults(seededRandom(seed));
      faults.add({ action: { kind: 'reset' }, probability: 0.25 });
      return Array.from({ length: 1000 }, () => faults.take(create).action !== undefined);
    };
    expect(hits(7)).toEqual(hits(7));
    expect(hits(7)).not.toEqual(hits(8));
    const share = hits(7).filter(Boolean).length / 1000;
    expect(share).toBeGreaterThan(0.2);
    expect(share).toBeLessThan(0.3);
  });
});

describe('the rate of creates', () => {
  test('with reject, refuses requests above the rate until time has passed', () => {
    const gate = new RateGate();
    gate.set({ perSecond: 2, over: 'reject' }, 0);
    expect([gate.admit(0), gate.admit(0), gate.admit(0)]).toEqual([0, 0, undefined]);
    expect(gate.admit(500)).toBe(0);
    expect(gate.admit(500)).toBeUndefined();
  });

  test('with queue, requests above the rate wait one after the other', () => {
    const gate = new RateGate();
    gate.set({ perSecond: 2, over: 'queue' }, 0);
    expect([gate.admit(0), gate.admit(0), gate.admit(0), gate.admit(0)]).toEqual([0, 0, 500, 1000]);
  });

  test('without a rate, all requests pass', () => {
    const gate = new RateGate();
    gate.set({ perSecond: 1, over: 'reject' }, 0);
    gate.set(undefined, 0);
    expect([gate.admit(0), gate.admit(0)]).toEqual([0, 0]);
  });
});
