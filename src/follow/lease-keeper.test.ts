import { once } from 'node:events';
import { expect, onTestFinished, vi } from 'vitest';
import { silentLogger } from '../base/logger.ts';
import type { Database } from '../clients/postgres/database.ts';
import { claimLease, type LeaseRequest } from '../ledger/leases.ts';
import { faultyDatabase, unavailable } from '../../test/support/faulty-database.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { LeaseKeeper } from './lease-keeper.ts';

const LIFE_MS = 30_000;
const claimOnce = (request: LeaseRequest) => claimLease(db, request);

/** A keeper of the lease `test`. */
function keeperOf(
  own: Database,
  options: Pick<ConstructorParameters<typeof LeaseKeeper>[0], 'work' | 'claim'>,
): LeaseKeeper {
  const lease = { name: 'test', holder: 'me', lifeMs: LIFE_MS };
  return new LeaseKeeper({ db: own, logger: silentLogger, random: () => 0, ...lease, ...options });
}

test('starts no work for a lease that expired while the previous work was still writing', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const { promise: isWritten, resolve: written } = Promise.withResolvers<void>();
  const work = vi.fn(() => isWritten);
  const claim = vi.fn(claimOnce);
  const keeper = keeperOf(db, { work, claim });
  await keeper.runOnce();
  vi.advanceTimersByTime(LIFE_MS);
  expect(keeper.held).toBe(false);
  const again = keeper.runOnce();
  await claim.mock.results[1]?.value;
  vi.advanceTimersByTime(LIFE_MS);
  written();
  await again;
  expect(keeper.held).toBe(false);
  await keeper.runOnce();
  expect(keeper.held).toBe(true);
  expect(work).toHaveBeenCalledTimes(2);
  await keeper.stop();
});

test('a stop ends the work before a hanging claim returns, and releases before the subscription closes', async () => {
  const { promise: isAnswered, resolve: answer } = Promise.withResolvers<void>();
  const { promise: isClosed, resolve: close } = Promise.withResolvers<void>();
  const { promise: isReleased, resolve: release } = Promise.withResolvers<void>();
  const faulty = faultyDatabase(db);
  faulty.faults.before = (statement) => {
    if (statement === 'release-lease') {
      release();
      unavailable();
    }
  };
  const slow: Database = {
    ...faulty,
    listen: async (channel, handler) => {
      const subscription = await db.listen(channel, handler);
      return { close: () => isClosed.then(() => subscription.close()) };
    },
  };
  const claim = vi
    .fn((request: LeaseRequest) => isAnswered.then(() => claimOnce(request)))
    .mockImplementationOnce(claimOnce);
  const work = vi.fn((_watch: AbortSignal, ended: AbortSignal) => once(ended, 'abort').then(() => undefined));
  const keeper = keeperOf(slow, { work, claim });
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
