import { beforeEach, expect, vi } from 'vitest';
import type { Queryable } from '../clients/postgres/database.ts';
import { claimLease, LEASE_CHANNEL, releaseLease } from './leases.ts';
import { database, test } from '../../test/support/ledger-fixture.ts';

beforeEach(async () => {
  await database.db.query({ text: 'DELETE FROM facteur.leases' });
});

const claim = (holder: string, name = 'follow', db: Queryable = database.db) =>
  claimLease(db, { name, holder, lifeMs: 15_000 });

/** Moves the lease's end to `seconds` from now, on the database's clock. */
async function expireIn(seconds: number): Promise<void> {
  await database.db.query({
    text: 'UPDATE facteur.leases SET expires_at = now() + make_interval(secs => $1)',
    values: [seconds],
  });
}

test('the first process gets the lease, others learn when it expires', async () => {
  // Within a transaction, now() is constant.
  await database.db.transaction(async (tx) => {
    expect(await claim('a', 'follow', tx)).toMatchObject({ held: true, expiresInMs: 15_000 });
    expect(await claim('b', 'follow', tx)).toMatchObject({ held: false, expiresInMs: 15_000 });
  });
  expect(await claim('b', 'another')).toMatchObject({ held: true });
});

test('a renewal extends the lease', async () => {
  await claim('a');
  await expireIn(1);
  await database.db.transaction(async (tx) => {
    expect(await claim('a', 'follow', tx)).toMatchObject({ held: true });
    expect((await claim('b', 'follow', tx)).expiresInMs).toBe(15_000);
  });
});

test('another process takes an expired lease, and the former holder cannot renew it', async () => {
  await claim('a');
  await expireIn(0);
  expect(await claim('b')).toMatchObject({ held: true });
  expect(await claim('a')).toMatchObject({ held: false });
});

test('a lease that ends too far in the future, because the clock was set back, counts as expired', async () => {
  await claim('a');
  await expireIn(600);
  expect(await claim('b')).toMatchObject({ held: true });
  expect(await claim('a')).toMatchObject({ held: false });
});

test('a release frees the lease at once and notifies others, but only by its holder', async () => {
  const heard: string[] = [];
  const subscription = await database.db.listen(LEASE_CHANNEL, (payload) => heard.push(payload));
  await claim('a');
  await releaseLease(database.db, 'follow', 'b');
  expect(await claim('b')).toMatchObject({ held: false });
  await releaseLease(database.db, 'follow', 'a');
  expect(await claim('b')).toMatchObject({ held: true });
  await vi.waitFor(() => expect(heard).toEqual(['follow']));
  await subscription.close();
});
