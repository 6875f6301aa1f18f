import { expect, test } from 'vitest';
import { remember } from './remember.ts';

test('all callers share one attempt, and its result is kept', async () => {
  const made = Promise.withResolvers<string>();
  let attempts = 0;
  const value = remember(() => {
    attempts += 1;
    return made.promise;
  });
  const early = [value(), value()];
  made.resolve('it');
  expect(await Promise.all([...early, value()])).toEqual(['it', 'it', 'it']);
  expect(attempts).toBe(1);
});

test('a failure rejects only the callers that wait for it, and the next call retries', async () => {
  let attempts = 0;
  const value = remember(async () => {
    attempts += 1;
    if (attempts < 3) {
      throw new Error(`failure ${attempts}`);
    }
    return attempts;
  });
  const first = await Promise.allSettled([value(), value()]);
  expect(first.map((one) => one.status === 'rejected' && String(one.reason))).toEqual([
    'Error: failure 1',
    'Error: failure 1',
  ]);
  await expect(value()).rejects.toThrow('failure 2');
  expect([await value(), await value()]).toEqual([3, 3]);
});
