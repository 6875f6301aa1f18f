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

test('the first one holds it, the others learn for how long', async () => {
  // In one transaction it is always the same time.
  await database.db.transaction(async (tx) => {
    expect(await claim('a', 'follow', tx)).toMatchObject({ held: true, expiresInMs: 15_000 });
    expect(await claim('b', 'follow', tx)).toMatchObject({ held: false, expiresInMs: 15_000 });
  });
  expect(await claim('b', 'another')).toMatchObject({ held: true });
});

test('renewing extends it', async () => {
  await claim('a');
  await expireIn(1);
  await database.db.transaction(async (tx) => {
    expect(await claim('a', 'follow', tx)).toMatchObject({ held: true });
    expect((await claim('b', 'follow', tx)).expiresInMs).toBe(15_000);
  });
});

test('when it has run out anybody may have it, and the former holder sees that it is gone', async () => {
  await claim('a');
  await expireIn(0);
  expect(await claim('b')).toMatchObject({ held: true });
  expect(await claim('a')).toMatchObject({ held: false });
});

test('one that ends later than any lease can, because the clock was turned back, has run out', async () => {
  await claim('a');
  await expireIn(600);
  expect(await claim('b')).toMatchObject({ held: true });
  expect(await claim('a')).toMatchObject({ held: false });
});

test('giving it back frees it at once and tells everybody, unless it is somebody else’s', async () => {
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
