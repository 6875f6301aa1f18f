import { expect, test } from 'vitest';
import type { DiscordError } from './errors.ts';
import { Pauses } from './pauses.ts';

const HEADERS = { 'x-ratelimit-limit': '5', 'x-ratelimit-reset-after': '5' };

function world() {
  let now = 1000;
  const pauses = new Pauses(() => now);
  return {
    pauses,
    advance: (ms: number) => (now += ms),
    /** How long each of this many requests is held back. */
    waits: (count: number) =>
      Array.from({ length: count }, () => {
        try {
          pauses.check('b', true);
          return 0;
        } catch (error) {
          return (error as DiscordError).retryAfterMs;
        }
      }),
    /** How many of this many concurrent requests may be sent. */
    sent: (count: number) => {
      const held = Array.from({ length: count }, () => {
        try {
          pauses.check('b', true);
          return 0;
        } catch (error) {
          expect(error).toMatchObject({ code: 'discord.rate_limited', heldBack: true });
          return 1;
        }
      });
      return held.filter((one) => one === 0).length;
    },
  };
}

test('sends only as many of many concurrent requests as Discord allows, in every window', () => {
  const { pauses, advance, sent } = world();
  pauses.check('b', true);
  pauses.learn('b', { ...HEADERS, 'x-ratelimit-remaining': '4' });
  expect([sent(16), sent(1)]).toEqual([4, 0]);
  advance(5000);
  expect(sent(16)).toBe(5);
  // Others use the bucket, too.
  advance(5000);
  expect(sent(1)).toBe(1);
  pauses.learn('b', { ...HEADERS, 'x-ratelimit-remaining': '1' });
  expect(sent(16)).toBe(1);
});

test('missing answers hold requests back for at most a window', () => {
  const { pauses, advance, sent } = world();
  pauses.learn('b', { ...HEADERS, 'x-ratelimit-remaining': '1' });
  for (let window = 0; window < 3; window += 1) {
    expect(sent(16)).toBe(window === 0 ? 1 : 5);
    advance(5000);
  }
});

test('sends only as many of the first burst as most buckets allow', () => {
  const { pauses, advance, sent } = world();
  expect(sent(16)).toBe(5);
  pauses.learn('b', { ...HEADERS, 'x-ratelimit-limit': '8', 'x-ratelimit-remaining': '7' });
  advance(5000);
  expect(sent(16)).toBe(8);
});

test('after an answer without a limit, sends as many as at first', () => {
  const { pauses, sent } = world();
  expect(sent(5)).toBe(5);
  pauses.learn('b', {});
  expect(sent(5)).toBe(5);
});

test('spreads held-back requests over the windows, as many as each allows', () => {
  const { pauses, advance, sent, waits } = world();
  pauses.learn('b', { ...HEADERS, 'x-ratelimit-remaining': '0' });
  expect(waits(12)).toEqual([...Array<number>(5).fill(5000), ...Array<number>(5).fill(10_000), 15_000, 15_000]);
  expect(waits(100).at(-1)).toBe(35_000);
  pauses.learn('b', { ...HEADERS, 'x-ratelimit-remaining': '0' });
  expect(waits(1)).toEqual([35_000]);
  advance(5000);
  expect([sent(5), ...waits(1)]).toEqual([5, 5000]);
});

test('requests that a guess held back get the places of the next window', () => {
  const { pauses, advance, sent, waits } = world();
  expect(sent(5)).toBe(5);
  expect(waits(7)).toEqual([...Array<number>(5).fill(1000), 2000, 2000]);
  pauses.learn('b', { ...HEADERS, 'x-ratelimit-remaining': '0' });
  advance(1000);
  expect(waits(5)).toEqual(Array<number>(5).fill(4000));
  advance(1000);
  expect(waits(2)).toEqual([8000, 8000]);
});

test('after a change of the limit, windows have the length that Discord says now', () => {
  const { pauses, advance, sent } = world();
  pauses.learn('b', { ...HEADERS, 'x-ratelimit-remaining': '4', 'x-ratelimit-reset-after': '60' });
  advance(60_000);
  expect(sent(1)).toBe(1);
  pauses.learn('b', { ...HEADERS, 'x-ratelimit-remaining': '4' });
  advance(5000);
  expect(sent(16)).toBe(5);
  advance(5000);
  expect(sent(16)).toBe(5);
});
