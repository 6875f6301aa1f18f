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

describe('in process', () => {
  test('is forgotten after 15 minutes', async () => {
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

  test('grows to its bound and no further: the oldest goes, and what has expired goes first', () => {
    const now = { ms: 0 };
    const map = new ExpiringMap<number>({ now: () => new Date(now.ms) }, 100, 3);
    for (const key of [1, 2, 3, 1, 4]) {
      map.set(String(key), key);
    }
    expect(['1', '2', '3', '4'].map((key) => map.get(key))).toEqual([1, undefined, 3, 4]);
    now.ms = 100;
    map.set('5', 5);
    expect(map.size).toBe(1);
  });
});
