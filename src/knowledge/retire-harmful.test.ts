import { expect } from 'vitest';
import { DatabaseError } from '../clients/postgres/database.ts';
import { retireReflections } from '../ledger/reflection-standing.ts';
import { judged } from '../../test/support/follow.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { receivedByAll, seedReflections } from '../../test/support/reflections.ts';
import { harmful, retireHarmful } from './retire-harmful.ts';

const USUALLY_WELL = { everywhere: { helped: 900, hurt: 100 }, here: { helped: 90, hurt: 10 } };
const USUALLY_BADLY = { everywhere: { helped: 900, hurt: 100 }, here: { helped: 20, hurt: 180 } };

test('judges a reflection by all its runs, compared with the usual outcome in their repositories', () => {
  const found = harmful([
    { reflectionId: 'bad', helped: 0, hurt: 5, ...USUALLY_WELL },
    { reflectionId: 'bad', helped: 1, hurt: 4, ...USUALLY_WELL },
    { reflectionId: 'in a hard repository', helped: 1, hurt: 9, ...USUALLY_BADLY },
    { reflectionId: 'good', helped: 9, hurt: 1, ...USUALLY_WELL },
    { reflectionId: 'young', helped: 0, hurt: 3, ...USUALLY_WELL },
  ]);
  expect(found).toEqual([{ reflectionId: 'bad', reason: expect.stringMatching(/^1 of 10 runs .* 0\.90 without$/) }]);
});

test('finishes a retirement that an earlier pass left incomplete', async () => {
  const [source, child] = await seedReflections(
    db,
    ['source', 'child'].map((content) => ({ content, state: 'trusted' as const })),
  );
  await receivedByAll(db, source!);
  const deaf = judged(db, ({ name = '' }) =>
    name.startsWith('find-descendants')
      ? new DatabaseError('postgres.unavailable', 'gone', { retryable: true })
      : undefined,
  );
  const decision = { reflectionIds: [source!.id], reason: 'harm', decidedBy: 'facteur', withDescendants: false };
  await expect(retireReflections(deaf, decision)).rejects.toThrow('gone');
  const state = async () =>
    (
      await db.query<{ state: string }>({
        text: 'SELECT state FROM facteur.reflection_standing WHERE reflection_id = $1',
        values: [child!.id],
      })
    ).rows[0]?.state;
  const { signal } = new AbortController();
  await retireHarmful(db, { dryRun: true, signal });
  expect(await state()).toBe('trusted');
  expect(await retireHarmful(db, { dryRun: false, signal })).toBe(0);
  expect(await state()).toBe('quarantined');
});
