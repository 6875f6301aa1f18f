import { describe, expect } from 'vitest';
import { forceState, newRun } from '../../test/support/runs.ts';
import type { Database } from '../clients/postgres/database.ts';
import { receivedByAll, seedReflections, type SeededRow, vector } from '../../test/support/reflections.ts';
import { db, ownConnection, rowsRead, test } from '../../test/support/ledger-fixture.ts';
import { recordRun } from './record-run.ts';
import {
  distrustRestarted,
  MAX_DESCENDANTS,
  retireReflections,
  trustReflections,
  trustWaiting,
  waitingReflections,
  type WaitingPlace,
} from './reflection-standing.ts';
import { recordRetrieval } from './retrievals.ts';
import { saveReflection } from './run-reports.ts';
import { searchReflections } from './search-reflections.ts';

async function standing(id: string): Promise<unknown> {
  const { rows } = await db.query({
    text: `SELECT repository, reflection_type AS type, state, reason, decided_by AS "decidedBy"
      FROM facteur.reflection_standing WHERE reflection_id = $1`,
    values: [id],
  });
  return rows[0];
}

test('a row written outside facteur is found by its words at once, and starts as quarantined', async () => {
  const [row] = await seedReflections(db, [
    { content: 'Run the linter first.', repository: 'Acme/Rocket', type: 'lesson' },
  ]);
  expect(await standing(row!.id)).toEqual({
    repository: 'acme/rocket',
    type: 'lesson',
    state: 'quarantined',
    reason: '',
    decidedBy: '',
  });
  expect(await searchReflections(db, { text: 'linters', repository: 'acme/ROCKET', limit: 1 })).toMatchObject([
    { id: row!.id },
  ]);
});

test.each([
  ['trusted', { state: 'quarantined', reason: 'the text changed', decidedBy: 'facteur' }],
  ['retired', { state: 'retired', reason: 'why', decidedBy: 'Ada' }],
] as const)(
  'a changed text of a %s reflection is found by its own words, and is not trusted',
  async (state, expected) => {
    const { runId } = await recordRun(db, { run: newRun(), claim: false });
    const save = (content: string, author: string): Promise<unknown> =>
      saveReflection(
        db,
        { runId, onlyRun: runId, actor: author },
        { type: 'critique', content, metadata: {}, embedding: null, embeddingVersion: null },
      );
    await save('First', 'run');
    await db.query({
      text: `UPDATE facteur.reflection_standing SET state = $1, reason = 'why', decided_by = 'Ada'`,
      values: [state],
    });
    await save('First', 'another author');
    const [kept] = await searchReflections(db, { text: 'first', limit: 1 });
    expect(await standing(kept!.id)).toMatchObject({ state, reason: 'why', decidedBy: 'Ada', repository: '' });
    await save('Second', 'run');
    expect(await standing(kept!.id)).toMatchObject(expected);
    expect(await searchReflections(db, { text: 'first', limit: 1 })).toEqual([]);
    expect(await searchReflections(db, { text: 'second', limit: 1 })).toHaveLength(1);
  },
);

test('does not trust a reflection on a stale read of its source', async () => {
  const [source] = await seedReflections(db, [{ content: 'Skip the tests.', state: 'trusted' }]);
  const { runId } = await recordRun(db, { run: newRun(), claim: false });
  const uses = [{ reflectionId: source!.id, place: 1, similarity: 1 }];
  const advised = { runId, strategy: 'retrieve', repository: '', askedBy: 'api:ada' } as const;
  await recordRetrieval(db, { ...advised, uses, composition: {}, log: null });
  await saveReflection(
    db,
    { runId, onlyRun: runId, actor: 'run' },
    { type: 'lesson', content: 'Skipping tests is fast.', metadata: {}, embedding: null, embeddingVersion: null },
  );
  await forceState(db, runId, 'succeeded');
  const {
    page: [waiting],
  } = await waitingReflections(db, '');
  expect(waiting).toMatchObject({ inherited: ['trusted'] });
  const decision = { reflectionIds: [source!.id], reason: 'wrong', decidedBy: 'Ada', withDescendants: false };
  await retireReflections(db, decision);
  await trustWaiting(db, new Map([[waiting!.reflectionId, 'its run succeeded']]));
  expect(await standing(waiting!.reflectionId)).toMatchObject({ state: 'quarantined' });
});

/** Makes this many of the runs that wrote reflections receivers of one of these, in turn. */
async function giveToRuns(reflectionIds: readonly string[], runs: number): Promise<void> {
  await db.query({
    text: `WITH run AS (
        INSERT INTO facteur.runs (run_id, delivery_id, delivery_key, kind, command, door, state, previous_state, namespace,
          workflow_name, correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at)
        SELECT id, id::text, id::text, 'codex', 'implementation', 'http', 'failed', 'running', 'argo', id::text, '', '', '', '', '',
          now() FROM codex_kb.task_runs RETURNING run_id
      ), retrieval AS (
        INSERT INTO facteur.retrievals (run_id, strategy, repository, asked_by) SELECT run_id, 'retrieve', '', '' FROM run
      )
      INSERT INTO facteur.reflection_uses (run_id, reflection_id, place)
      SELECT run_id, ($1::uuid[])[1 + row_number() OVER () % cardinality($1::uuid[])], 1 FROM run LIMIT $2`,
    values: [reflectionIds, runs],
  });
}

test('a retirement applies to all descendants, and lists only the oldest of many', async () => {
  const count = MAX_DESCENDANTS + 5;
  const all = await seedReflections(
    db,
    Array.from({ length: count }, (_, nth) => ({ content: `Lesson ${nth}`, state: 'trusted' as const })),
  );
  const source = all[0]!.id;
  await giveToRuns([source], count);
  const decision = { reflectionIds: [source], reason: 'wrong', decidedBy: 'Ada', withDescendants: true };
  const { changes, descendants } = await retireReflections(db, decision);
  expect([changes.length, changes[0]?.reflectionId, descendants]).toEqual([MAX_DESCENDANTS + 1, source, count - 1]);
  const { rowCount } = await db.query({
    text: `SELECT FROM facteur.reflection_standing WHERE state = 'retired' AND decided_by = 'Ada'`,
  });
  expect(rowCount).toBe(count);
});

test('the rows that a decision reads do not grow with the number of reflections', async () => {
  const all = await seedReflections(
    db,
    Array.from({ length: 1000 }, (_, nth) => ({ content: `Lesson ${nth}`, state: 'trusted' as const })),
  );
  const [source, ...others] = all.map(({ id }) => id);
  await giveToRuns([source!, ...others].slice(0, 30), 900);
  await db.query({ text: 'ANALYZE' });
  const own = await ownConnection();
  const read = async (): Promise<number> =>
    (await rowsRead(own.db, 'codex_kb.reflections')) + (await rowsRead(own.db, 'facteur.reflection_standing'));
  const decision = { reflectionIds: [others.at(-1)!], reason: 'wrong', decidedBy: 'Ada' };
  for (const decide of [
    () => retireReflections(own.db, { ...decision, withDescendants: true }),
    () => trustReflections(own.db, decision),
  ]) {
    const before = await read();
    await decide();
    expect((await read()) - before).toBeLessThan(200);
  }
  await own.close();
});

test('reads waiting reflections one page at a time', async () => {
  await seedReflections(
    db,
    Array.from({ length: 2000 }, (_, nth) => ({ content: `Lesson ${nth}` })),
  );
  await db.query({
    text: `INSERT INTO facteur.runs (run_id, delivery_id, delivery_key, kind, command, door, state, previous_state, namespace,
        workflow_name, correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at)
      SELECT id, id::text, id::text, 'codex', 'implementation', 'http', 'failed', 'running', 'argo', id::text, '', '', '', '', '', now()
      FROM codex_kb.task_runs`,
  });
  await db.query({ text: 'ANALYZE' });
  const own = await ownConnection();
  const read = async (): Promise<number> =>
    (await rowsRead(own.db)) + (await rowsRead(own.db, 'facteur.reflection_standing'));
  const seen = new Set<string>();
  let after: WaitingPlace | undefined;
  // All were written at the same time: only their ids order them.
  for (const isLast of [false, false, false, false, true]) {
    const before = await read();
    const { page, isFull } = await waitingReflections(own.db, 'Acme/Rocket', after);
    expect((await read()) - before).toBeLessThan(2000);
    expect([page.length, isFull]).toEqual(isLast ? [0, false] : [500, true]);
    page.forEach(({ reflectionId }) => seen.add(reflectionId));
    after = page.at(-1);
  }
  expect(seen.size).toBe(2000);
  await own.close();
});

test('the signs for the search always match the last written embedding', async () => {
  const [row] = await seedReflections(db, [{ content: 'First.', embedding: vector(1, 2), embeddingVersion: 'a' }]);
  const compared = async (): Promise<unknown> => {
    const { rows } = await db.query({
      text: `SELECT s.embedding_version AS version, s.signs IS NOT DISTINCT FROM facteur.embedding_signs(r.embedding) AS same
        FROM facteur.reflection_standing s JOIN codex_kb.reflections r ON r.id = s.reflection_id`,
    });
    return rows[0];
  };
  const write = (set: string): Promise<unknown> =>
    db.query({
      text: `UPDATE codex_kb.reflections SET ${set} WHERE id = $2 AND $1::text IS NOT NULL`,
      values: [JSON.stringify(vector(-3, 1)), row!.id],
    });
  expect(await compared()).toEqual({ version: 'a', same: true });
  await write(`embedding = $1::vector, embedding_version = 'b'`);
  expect(await compared()).toEqual({ version: 'b', same: true });
  await write(`embedding_version = 'c'`);
  expect(await compared()).toEqual({ version: 'c', same: true });
  await write(`content = 'Second.', embedding = NULL`);
  expect(await compared()).toEqual({ version: null, same: true });
});

test('accepts long texts of any kind', async () => {
  const texts = [
    'a-'.repeat(400_000),
    Array.from({ length: 120_000 }, (_, place) => place.toString(36)).join(' '),
    Array.from({ length: 30_000 }, (_, place) => `http://${place.toString(36)}.example/${place}?a-b-c`).join(' '),
    Array.from({ length: 40_000 }, (_, place) => String.fromCodePoint(0x20000 + place)).join('-'),
  ];
  expect(
    await seedReflections(
      db,
      texts.map((content) => ({ content })),
    ),
  ).toHaveLength(texts.length);
});

test('a writer without rights in the schema facteur can write reflections', async () => {
  const [row] = await seedReflections(db, [{ content: 'First.' }]);
  const attempt = db.transaction(async (tx) => {
    await tx.query({
      text: `CREATE ROLE facteur_go_test; GRANT USAGE ON SCHEMA codex_kb TO facteur_go_test;
        GRANT SELECT, INSERT, UPDATE ON codex_kb.reflections TO facteur_go_test; SET LOCAL ROLE facteur_go_test`,
    });
    await tx.query({
      text: `INSERT INTO codex_kb.reflections (task_run_id, reflection_type, content) VALUES ($1, 'lesson', 'Second.')
        ON CONFLICT (task_run_id, reflection_type) DO UPDATE SET content = EXCLUDED.content`,
      values: [row!.runId],
    });
    await tx.query({
      text: `UPDATE codex_kb.reflections SET content = 'Third.', embedding = $1::vector WHERE reflection_type = 'lesson'`,
      values: [JSON.stringify(vector(1))],
    });
    await tx.query({ text: 'RESET ROLE' });
    const found = await searchReflections(tx, { text: 'third', limit: 1 });
    throw new Error(`found ${found[0]?.content}`);
  });
  // The rollback removes the role.
  await expect(attempt).rejects.toThrow('found Third.');
});

test('quarantines the reflections of a restarted run and their descendants, unless a person trusts them', async () => {
  const { runId } = await recordRun(db, { run: newRun(), claim: false });
  const teach = (by: string, content: string): Promise<unknown> => {
    const reflection = { type: content, content, metadata: {}, embedding: null, embeddingVersion: null };
    return saveReflection(db, { runId: by, onlyRun: by, actor: 'run' }, reflection);
  };
  await teach(runId, 'by facteur');
  await teach(runId, 'by Ada');
  for (const content of ['of facteur’s', 'of Ada’s', 'of nothing', 'of of facteur’s', 'kept by Ada']) {
    const { runId: later } = await recordRun(db, { run: newRun(), claim: false });
    await teach(later, content);
    await db.query({
      text: `INSERT INTO facteur.retrievals (run_id, strategy, repository, asked_by) VALUES ($1, 'retrieve', 'acme/rocket', '')`,
      values: [later],
    });
  }
  const uses = [
    ['of facteur’s', 'by facteur'],
    ['of Ada’s', 'by Ada'],
    ['of of facteur’s', 'of facteur’s'],
    ['kept by Ada', 'by facteur'],
  ];
  await db.query({
    text: `INSERT INTO facteur.reflection_uses (run_id, reflection_id, place)
      SELECT later.task_run_id, earlier.id, 1 FROM unnest($1::text[], $2::text[]) AS use (later, earlier)
        JOIN codex_kb.reflections later ON later.content = use.later
        JOIN codex_kb.reflections earlier ON earlier.content = use.earlier`,
    values: [uses.map(([later]) => later), uses.map(([, earlier]) => earlier)],
  });
  await db.query({
    text: `UPDATE facteur.reflection_standing s SET state = 'trusted', decided_by = CASE WHEN content LIKE '%by Ada' THEN 'Ada' ELSE 'facteur' END
      FROM codex_kb.reflections r WHERE r.id = s.reflection_id`,
  });
  const trusted = async (): Promise<unknown> => {
    const { rows } = await db.query<{ content: string }>({
      text: `SELECT content FROM facteur.reflection_standing JOIN codex_kb.reflections r ON r.id = reflection_id
        WHERE state = 'trusted' ORDER BY content`,
    });
    return rows.map(({ content }) => content);
  };

  expect(await trusted()).toHaveLength(7);
  await distrustRestarted(db, [runId]);
  expect(await trusted()).toEqual(['by Ada', 'kept by Ada', 'of Ada’s', 'of nothing']);
  const { rows } = await db.query({
    text: `SELECT count(*)::int AS count FROM codex_kb.run_events WHERE event_type = 'reflection.quarantined'`,
  });
  expect(rows).toEqual([{ count: 3 }]);

  // As after a crash: its descendants are found even though it is quarantined itself.
  await db.query({
    text: `UPDATE facteur.reflection_standing s SET state = 'trusted' FROM codex_kb.reflections r
      WHERE r.id = s.reflection_id AND content = 'of of facteur’s'`,
  });
  await distrustRestarted(db, [runId]);
  expect(await trusted()).toEqual(['by Ada', 'kept by Ada', 'of Ada’s', 'of nothing']);
});

describe('a statement changes at most 20 descendants of', () => {
  /** A trusted reflection that the runs of 249 others received. */
  async function popular(): Promise<SeededRow> {
    const [source] = await seedReflections(
      db,
      Array.from({ length: 250 }, (_, nth) => ({ content: `Lesson ${nth}`, state: 'trusted' as const })),
    );
    await receivedByAll(db, source!);
    return source!;
  }

  /** Each state, with the number of reflections that got it in one statement. */
  async function statements(): Promise<unknown> {
    const { rows } = await db.query<{ state: string; count: number }>({
      text: `SELECT state, count(*)::int AS count FROM facteur.reflection_standing GROUP BY state, xmin::text ORDER BY count`,
    });
    return rows.map(({ state, count }) => [state, count]);
  }

  test('a restarted run', async () => {
    await distrustRestarted(db, [(await popular()).runId]);
    expect(await statements()).toEqual(
      [10, ...Array.from({ length: 12 }, () => 20)].map((count) => ['quarantined', count]),
    );
  });

  test.each([
    ['quarantined', false],
    ['retired', true],
  ])('a retired reflection: it is retired first, alone, and they become %s', async (state, withDescendants) => {
    const { id } = await popular();
    const decision = { reflectionIds: [id], reason: 'wrong', decidedBy: 'Ada', withDescendants };
    const { changes, descendants } = await retireReflections(db, decision);
    const sizes = [9, ...Array.from({ length: 12 }, () => 20)];
    expect(await statements()).toEqual([['retired', 1], ...sizes.map((size) => [state, size])]);
    expect(descendants).toBe(249);
    expect(changes.map((change) => [change.previousState, change.state])).toEqual([
      ['trusted', 'retired'],
      ...Array.from({ length: 249 }, () => ['trusted', state]),
    ]);
  });

  test('a retired reflection: those that a person keeps trusted are listed first', async () => {
    const { id } = await popular();
    const { rows } = await db.query<{ id: string }>({
      text: `UPDATE facteur.reflection_standing SET decided_by = 'Ada' WHERE reflection_id = (
        SELECT max(reflection_id::text)::uuid FROM facteur.reflection_standing WHERE reflection_id <> $1) RETURNING reflection_id AS id`,
      values: [id],
    });
    const decision = { reflectionIds: [id], reason: 'wrong', decidedBy: 'Ada', withDescendants: false };
    const { changes } = await retireReflections(db, decision);
    expect(changes.slice(0, 3)).toMatchObject([
      { reflectionId: id, state: 'retired' },
      { reflectionId: rows[0]!.id, previousState: 'trusted', state: 'trusted' },
      { previousState: 'trusted', state: 'quarantined' },
    ]);
  });
});

test('a retirement terminates even if a descendant of a reflection kept by a person is trusted again', async () => {
  const [source, kept, again] = await seedReflections(
    db,
    ['source', 'kept', 'again'].map((content) => ({ content, state: 'trusted' as const })),
  );
  await receivedByAll(db, source!);
  await db.query({
    text: `WITH moved AS (UPDATE facteur.reflection_uses SET reflection_id = $1 WHERE run_id = $2)
      UPDATE facteur.reflection_standing SET decided_by = 'Ada' WHERE reflection_id = $1`,
    values: [kept!.id, again!.runId],
  });
  let steps = 0;
  const busy: Pick<Database, 'transaction' | 'query'> = {
    query: (statement) => db.query(statement),
    async transaction(work) {
      const result = await db.transaction(work);
      steps += 1;
      expect(steps).toBeLessThan(10);
      await trustWaiting(db, new Map([[again!.id, 'its run succeeded']]));
      return result;
    },
  };
  const decision = { reflectionIds: [source!.id], reason: 'wrong', decidedBy: 'Bob', withDescendants: false };
  const { descendants } = await retireReflections(busy, decision);
  expect(descendants).toBe(2);
});

test('does not trust a reflection on a stale read of its run', async () => {
  const [row] = await seedReflections(db, [{ content: 'Skip the tests.' }]);
  const { runId } = await recordRun(db, { run: newRun(), claim: false });
  await db.query({ text: 'UPDATE codex_kb.reflections SET task_run_id = $1', values: [runId] });
  const trust = () => trustWaiting(db, new Map([[row!.id, 'its run succeeded']]));
  await forceState(db, runId, 'running');
  await trust();
  expect(await standing(row!.id)).toMatchObject({ state: 'quarantined' });
  await forceState(db, runId, 'succeeded');
  await trust();
  expect(await standing(row!.id)).toMatchObject({ state: 'trusted' });
});
