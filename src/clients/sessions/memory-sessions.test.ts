import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/logger.ts';
import { Secret } from '../../base/secret.ts';
import { DISPATCH, sessionsConformance } from '../../../test/support/sessions.ts';
import { ExpiringMap } from './expiring-map.ts';
import { MemorySessions } from './memory-sessions.ts';
import { openSessions } from './open-sessions.ts';

sessionsConformance(async () =>
  openSessions({ url: new Secret('memory://'), clock: systemClock, logger: silentLogger }),
);

describe('in memory', () => {
  test('expires after 15 minutes', async () => {
    const now = { ms: 1e12 };
    const sessions = new MemorySessions({ now: () => new Date(now.ms) });
    await sessions.rememberDispatch('1', DISPATCH);
    await sessions.keepToken('i', new Secret('t'));
    now.ms += 15 * 60 * 1000 - 1;
    expect(await sessions.lastDispatch('1')).toEqual(DISPATCH);
    expect(await sessions.tokenOf('i')).toBeDefined();
    now.ms += 1;
    expect(await sessions.lastDispatch('1')).toBeUndefined();
    expect(await sessions.tokenOf('i')).toBeUndefined();
  });

  test('does not grow beyond its bound: evicts the oldest entries, and expired ones first', () => {
    const now = { ms: 0 };
    const clock = { now: () => new Date(now.ms) };
    const map = new ExpiringMap<string>(clock, { ttlMs: 100, maxBytes: 4000, textsOf: (value) => [value] });
    for (const key of ['1', '2', '3', '1', '4']) {
      map.set(key, key.repeat(500));
    }
    expect(['1', '2', '3', '4'].map((key) => map.get(key)?.[0])).toEqual(['1', undefined, '3', '4']);
    map.set('large', 'x'.repeat(1400));
    expect(['1', '3', '4', 'large'].map((key) => map.get(key)?.[0])).toEqual([undefined, undefined, undefined, 'x']);
    map.set('too large', 'x'.repeat(2000));
    expect(map.size).toBe(0);
    map.set('5', '5');
    now.ms = 100;
    map.set('6', '6');
    expect(map.size).toBe(1);
  });

  test('a thousand users stay within the bound, and the last one is known', async () => {
    const sessions = new MemorySessions(systemClock, 100_000);
    const longest = { ...DISPATCH, correlationId: '\u4e00'.repeat(256), traceId: '\u4e00'.repeat(256) };
    let known = 0;
    for (let user = 0; user < 1000; user += 1) {
      await sessions.rememberDispatch(String(user), longest);
    }
    for (let user = 0; user < 1000; user += 1) {
      known += (await sessions.lastDispatch(String(user))) === undefined ? 0 : 1;
    }
    expect(await sessions.lastDispatch('999')).toEqual(longest);
    expect(known).toBeGreaterThan(10);
    expect(known * 2 * 512).toBeLessThan(100_000);
  });
});
