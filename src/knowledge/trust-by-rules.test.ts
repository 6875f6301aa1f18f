import { expect } from 'vitest';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { receivedByAll, seedReflections } from '../../test/support/reflections.ts';
import { createTrust } from './trust-by-rules.ts';

test('trusts at most 20 reflections per run: the next runs trust the others', async () => {
  const [source] = await seedReflections(
    db,
    Array.from({ length: 51 }, (_, nth) => ({
      content: `Lesson ${nth}`,
      state: nth === 0 ? 'trusted' : 'quarantined',
    })),
  );
  await receivedByAll(db, source!);
  const trust = createTrust(db, { trustedAuthors: [], trustedRepositories: ['acme/rocket'] });
  const trusted: number[] = [];
  for (let call = 0; call < 4; call += 1) {
    await trust('acme/rocket');
    const { rows } = await db.query<{ count: number }>({
      text: `SELECT count(*)::int AS count FROM facteur.reflection_standing WHERE state = 'trusted' AND decided_by = 'facteur'`,
    });
    trusted.push(rows[0]!.count);
  }
  expect(trusted).toEqual([20, 40, 50, 50]);
});
