import { describe, expect } from 'vitest';
import type { Database, Queryable } from '../clients/postgres/database.ts';
import { whileUncommitted } from '../../test/support/lock-waits.ts';
import { seedReflections } from '../../test/support/reflections.ts';
import { forceState, newRun } from '../../test/support/runs.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { recordRun } from './record-run.ts';
import { retireReflections, trustReflections, trustWaiting } from './reflection-standing.ts';
import { recordRetrieval } from './retrievals.ts';
import { saveReflection } from './run-reports.ts';

/** Tests that need a server with several connections. */

/** Records a run that received this reflection, wrote another, and succeeded. @returns the id of the new reflection */
async function descendant(reflectionId: string): Promise<string> {
  const { runId } = await recordRun(db, { run: newRun(), claim: false });
  const uses = [{ reflectionId, place: 1, similarity: 1 }];
  const advised = { runId, strategy: 'retrieve', repository: '', askedBy: 'api:ada' } as const;
  await recordRetrieval(db, { ...advised, uses, composition: {}, log: null });
  const reflection = { type: 'lesson', content: 'Mend it.', metadata: {}, embedding: null, embeddingVersion: null };
  const written = await saveReflection(db, { runId, onlyRun: runId, actor: 'run' }, reflection);
  await forceState(db, runId, 'succeeded');
  return 'row' in written ? written.row.reflectionId : '';
}

/** A trusted reflection, and one from a run that received it. */
async function generations(): Promise<readonly [string, string]> {
  const [source] = await seedReflections(db, [{ content: 'Skip the tests.', state: 'trusted' }]);
  return [source!.id, await descendant(source!.id)];
}

async function statesOf(ids: readonly string[]): Promise<readonly string[]> {
  const { rows } = await db.query<{ state: string }>({
    text: `SELECT state FROM facteur.reflection_standing WHERE reflection_id = ANY($1) ORDER BY array_position($1, reflection_id)`,
    values: [ids],
  });
  return rows.map(({ state }) => state);
}

const BY_ADA = { reason: '', decidedBy: 'ada' };
/** A database whose statements and transactions run in the given transaction. */
const inside = (tx: Queryable): Pick<Database, 'transaction' | 'query'> => ({
  query: (statement) => tx.query(statement),
  transaction: (work) => work(tx),
});

const TRUST: Readonly<Record<string, (own: Pick<Database, 'transaction'>, id: string) => Promise<unknown>>> = {
  'a person': (own, id) => trustReflections(own, { ...BY_ADA, reflectionIds: [id] }),
  facteur: (own, id) => trustWaiting(own, new Map([[id, 'its run succeeded']])),
};

describe.each(Object.entries(TRUST))('a reflection that %s trusts', (_who, trust) => {
  test('is not trusted if its source is being retired', async () => {
    const [source, child] = await generations();
    const retirement = { ...BY_ADA, reflectionIds: [source], withDescendants: false };
    await whileUncommitted(
      db,
      (tx) => retireReflections(inside(tx), retirement),
      () => trust(db, child),
    );
    expect(await statesOf([source, child])).toEqual(['retired', 'quarantined']);
  });

  test('is retired with its source if the retirement waits for the trust', async () => {
    const [source, child] = await generations();
    const retirement = { ...BY_ADA, reflectionIds: [source], withDescendants: true };
    await whileUncommitted(
      db,
      (tx) => trust(inside(tx), child),
      () => retireReflections(db, retirement),
    );
    expect(await statesOf([source, child])).toEqual(['retired', 'retired']);
  });
});

test('a reflection that facteur trusts during the retirement of its grandparent is quarantined again', async () => {
  const [source, child] = await generations();
  await TRUST['facteur']!(db, child);
  const grandchild = await descendant(child);
  await whileUncommitted(
    db,
    (tx) => TRUST['facteur']!(inside(tx), grandchild),
    () => retireReflections(db, { ...BY_ADA, reflectionIds: [source], withDescendants: false }),
  );
  expect(await statesOf([source, child, grandchild])).toEqual(['retired', 'quarantined', 'quarantined']);
});
