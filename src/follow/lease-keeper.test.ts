import { once } from 'node:events';
import { expect, onTestFinished, test, vi } from 'vitest';
import { silentLogger } from '../base/logger.ts';
import type { Database } from '../clients/postgres/database.ts';
import { LeaseKeeper } from './lease-keeper.ts';

const LIFE_MS = 30_000;
const db = {} as Database;

test('a lease that ran out while the work before was still writing begins no work', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const { promise: isWritten, resolve: written } = Promise.withResolvers<void>();
  const work = vi.fn(() => isWritten);
  const claim = vi.fn(() => Promise.resolve({ held: true, expiresInMs: LIFE_MS }));
  const keeper = new LeaseKeeper({
    ...{ db, logger: silentLogger, random: () => 0, name: 'test', holder: 'me', lifeMs: LIFE_MS, work, claim },
  });
  await keeper.runOnce();
  vi.advanceTimersByTime(LIFE_MS);
  expect(keeper.held).toBe(false);
  const again = keeper.runOnce();
  await vi.waitFor(() => expect(claim).toHaveBeenCalledTimes(2));
  vi.advanceTimersByTime(LIFE_MS);
  written();
  await again;
  expect(keeper.held).toBe(false);
  await keeper.runOnce();
  expect(keeper.held).toBe(true);
  expect(work).toHaveBeenCalledTimes(2);
  await keeper.stop();
});

test('a stop waits neither for a claim that hangs before the last write, nor for the subscription before the release', async () => {
  const { promise: isAnswered, resolve: answer } = Promise.withResolvers<void>();
  const { promise: isClosed, resolve: close } = Promise.withResolvers<void>();
  const { promise: isReleased, resolve: release } = Promise.withResolvers<void>();
  const claimed = { held: true, expiresInMs: LIFE_MS };
  const claim = vi.fn(() => isAnswered.then(() => claimed)).mockResolvedValueOnce(claimed);
  const work = vi.fn((_watch: AbortSignal, ended: AbortSignal) => once(ended, 'abort').then(() => undefined));
  const query = (): Promise<never> => {
    release();
    return Promise.reject(new Error('down'));
  };
  const silent = { query, listen: () => Promise.resolve({ close: () => isClosed }) } as Pick<
    Database,
    'query' | 'listen'
  >;
  const keeper = new LeaseKeeper({
    ...{ db: silent as Database, logger: silentLogger, random: () => 0, name: 'test', holder: 'me', lifeMs: LIFE_MS },
    ...{ work, claim },
  });
  await keeper.runOnce();
  keeper.start();
  await vi.waitFor(() => expect(claim).toHaveBeenCalledTimes(2));
  const stopped = keeper.stop();
  expect(work.mock.calls[0]?.[1].aborted).toBe(true);
  answer();
  await isReleased;
  close();
  await stopped;
});
