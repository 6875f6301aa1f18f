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
    /** For how long each of that many requests is held back. */
    waits: (count: number) =>
      Array.from({ length: count }, () => {
        try {
          pauses.check('b', true);
          return 0;
        } catch (error) {
          return (error as DiscordError).retryAfterMs;
        }
      }),
    /** How many of that many requests at once may be sent. */
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

test('of many requests at once, only as many are sent as Discord takes, in every window', () => {
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

test('answers that never come hold nothing back for longer than a window', () => {
  const { pauses, advance, sent } = world();
  pauses.learn('b', { ...HEADERS, 'x-ratelimit-remaining': '1' });
  for (let window = 0; window < 3; window += 1) {
    expect(sent(16)).toBe(window === 0 ? 1 : 5);
    advance(5000);
  }
});

test('of the first burst, only as many are sent as most buckets take', () => {
  const { pauses, advance, sent } = world();
  expect(sent(16)).toBe(5);
  pauses.learn('b', { ...HEADERS, 'x-ratelimit-limit': '8', 'x-ratelimit-remaining': '7' });
  advance(5000);
  expect(sent(16)).toBe(8);
});

test('after an answer that says nothing of a limit, as many are sent as at first', () => {
  const { pauses, sent } = world();
  expect(sent(5)).toBe(5);
  pauses.learn('b', {});
  expect(sent(5)).toBe(5);
});

test('those that are held back ask again in turns, as many in a window as it takes', () => {
  const { pauses, advance, sent, waits } = world();
  pauses.learn('b', { ...HEADERS, 'x-ratelimit-remaining': '0' });
  expect(waits(12)).toEqual([...Array<number>(5).fill(5000), ...Array<number>(5).fill(10_000), 15_000, 15_000]);
  expect(waits(100).at(-1)).toBe(35_000);
  pauses.learn('b', { ...HEADERS, 'x-ratelimit-remaining': '0' });
  expect(waits(1)).toEqual([35_000]);
  advance(5000);
  expect([sent(5), ...waits(1)]).toEqual([5, 5000]);
});

test('those that a guess held back get the places of the next window', () => {
  const { pauses, advance, sent, waits } = world();
  expect(sent(5)).toBe(5);
  expect(waits(7)).toEqual([...Array<number>(5).fill(1000), 2000, 2000]);
  pauses.learn('b', { ...HEADERS, 'x-ratelimit-remaining': '0' });
  advance(1000);
  expect(waits(5)).toEqual(Array<number>(5).fill(4000));
  advance(1000);
  expect(waits(2)).toEqual([8000, 8000]);
});

test('after a change of the limit, the windows are as long as Discord says now', () => {
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
