import { stat } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { within } from './within.ts';

describe('within', () => {
  test('gives what comes in time, and passes a failure on', async () => {
    expect(await within(5000, Promise.resolve(7))).toEqual({ inTime: true, value: 7 });
    await expect(within(5000, Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  });

  test('says when it took too long, and a failure after that harms nobody', async () => {
    const { promise, reject } = Promise.withResolvers<number>();
    expect(await within(1, promise)).toEqual({ inTime: false });
    reject(new Error('much later'));
    await new Promise((resolve) => setImmediate(resolve));
  });

  test('an answer that arrived while the event loop was held up is in time', async () => {
    const answer = stat(import.meta.filename);
    const waiting = within(20, answer);
    const until = performance.now() + 60;
    while (performance.now() < until) {
      // Held up.
    }
    expect(await waiting).toMatchObject({ inTime: true });
  });
});
