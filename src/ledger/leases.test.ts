import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { claimLease, LEASE_CHANNEL, releaseLease } from './leases.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());
beforeEach(async () => {
  await database.db.query({ text: 'DELETE FROM facteur.leases' });
});

const claim = (holder: string, name = 'follow') => claimLease(database.db, { name, holder, lifeMs: 15_000 });

/** Moves the lease's end to `seconds` from now, on the database's clock. */
async function expireIn(seconds: number): Promise<void> {
  await database.db.query({
    text: 'UPDATE facteur.leases SET expires_at = now() + make_interval(secs => $1)',
    values: [seconds],
  });
}

test('the first one holds it, the others learn for how long', async () => {
  expect(await claim('a')).toMatchObject({ held: true, expiresInMs: 15_000 });
  const refused = await claim('b');
  expect(refused.held).toBe(false);
  expect(refused.expiresInMs).toBeGreaterThan(10_000);
  expect(refused.expiresInMs).toBeLessThanOrEqual(15_000);
  expect(await claim('b', 'another')).toMatchObject({ held: true });
});

test('renewing extends it', async () => {
  await claim('a');
  await expireIn(1);
  expect(await claim('a')).toMatchObject({ held: true });
  expect((await claim('b')).expiresInMs).toBeGreaterThan(10_000);
});

test('when it has run out anybody may have it, and the former holder sees that it is gone', async () => {
  await claim('a');
  await expireIn(0);
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
