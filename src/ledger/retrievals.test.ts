import { beforeEach, expect } from 'vitest';
import { seedRuns, setState } from '../../test/support/knowledge.ts';
import { db, ownConnection, rowsRead, test } from '../../test/support/ledger-fixture.ts';
import { seedReflections } from '../../test/support/reflections.ts';
import { newRun } from '../../test/support/runs.ts';
import { recordRun } from './record-run.ts';
import { JUDGED_USES, trustedOutcomes } from './retrieval-outcomes.ts';
import { RANKED_USES, readRetrieval, readUseFacts, recordRetrieval } from './retrievals.ts';

const REFLECTION = `WITH idea AS (
  INSERT INTO codex_kb.ideas (source_type, source_ref, status, payload) VALUES ('x', 'x', 'x', '{}') RETURNING id
), task AS (
  INSERT INTO codex_kb.tasks (idea_id, stage, state) SELECT id, 'x', 'x' FROM idea RETURNING id
), task_run AS (
  INSERT INTO codex_kb.task_runs (task_id, status, delivery_id) SELECT id, 'x', 'x' FROM task RETURNING id
)
INSERT INTO codex_kb.reflections (task_run_id, reflection_type, content) SELECT id, 'lesson', 'x' FROM task_run
RETURNING id, task_run_id AS "runId"`;

/** Ended runs that received the reflection, one per second, up to some seconds ago. */
const USES = `WITH made AS (
  INSERT INTO facteur.runs (run_id, delivery_id, delivery_key, kind, command, door, state, previous_state, namespace, workflow_name,
    correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at)
  SELECT gen_random_uuid(), 'd' || n || $3, 'd' || n || $3, 'command', 'plan', 'http', $3, 'running', 'argo', 'w' || n || $3, '', '', '',
    '', '', now() - make_interval(secs => $4 + n)
  FROM generate_series(1, $2::int) n RETURNING run_id, accepted_at
), decided AS (
  INSERT INTO facteur.retrievals (run_id, strategy, repository, asked_by, decided_at)
  SELECT run_id, 'retrieve', 'acme/rocket', '', accepted_at FROM made
)
INSERT INTO facteur.reflection_uses (run_id, reflection_id, place, decided_at) SELECT run_id, $1, 1, accepted_at FROM made`;

interface Uses {
  readonly count: number;
  readonly state: 'succeeded' | 'failed' | 'canceled';
  readonly secondsAgo: number;
}

let reflection: { readonly id: string; readonly runId: string };

beforeEach(async () => {
  const { rows } = await db.query<typeof reflection>({ text: REFLECTION });
  reflection = rows[0]!;
  await db.query({
    text: `UPDATE facteur.reflection_standing SET state = 'trusted', updated_at = now() - interval '30 days'`,
  });
});

async function use({ count, state, secondsAgo }: Uses): Promise<void> {
  await db.query({ text: USES, values: [reflection.id, count, state, secondsAgo] });
}

const ABOUT = { command: 'deploy', repository: 'acme/rocket' };

test('the rows read to rank reflections do not grow with their uses', async () => {
  const { db: counted, close } = await ownConnection();
  const read = async (): Promise<number> => {
    const tables = 'facteur.runs, facteur.retrievals, facteur.reflection_uses';
    await db.session((session) => session.query({ text: `VACUUM ANALYZE ${tables}` }));
    const rows = async (): Promise<number> =>
      (await rowsRead(counted)) + (await rowsRead(counted, 'facteur.reflection_uses'));
    const before = await rows();
    await readUseFacts(counted, [reflection], ABOUT);
    return (await rows()) - before;
  };
  await use({ count: 1000, state: 'succeeded', secondsAgo: 20_000 });
  const few = await read();
  await use({ count: 19_000, state: 'failed', secondsAgo: 0 });
  const many = await read();
  await close();
  expect(few).toBeGreaterThanOrEqual(RANKED_USES);
  expect(Math.max(few, many)).toBeLessThanOrEqual(2 * RANKED_USES + 2);
});

test('ranks a reflection by those of its latest uses that succeeded or failed', async () => {
  await use({ count: 10, state: 'canceled', secondsAgo: 0 });
  await use({ count: RANKED_USES - 30, state: 'succeeded', secondsAgo: 100 });
  await use({ count: 500, state: 'failed', secondsAgo: 1000 });
  expect((await readUseFacts(db, [reflection], ABOUT)).outcomes).toEqual([
    { reflectionId: reflection.id, helped: RANKED_USES - 30, hurt: 20 },
  ]);
});

test('judges a reflection by its latest uses since it was trusted', async () => {
  const judged = async () => (await trustedOutcomes(db, 8)).outcomes.map(({ helped, hurt }) => ({ helped, hurt }));
  await use({ count: JUDGED_USES - 100, state: 'succeeded', secondsAgo: 100 });
  await use({ count: 500, state: 'failed', secondsAgo: 5000 });
  expect(await judged()).toEqual([{ helped: JUDGED_USES - 100, hurt: 100 }]);
  const tenth = 'SELECT decided_at FROM facteur.reflection_uses ORDER BY decided_at DESC OFFSET 9 LIMIT 1';
  await db.query({ text: `UPDATE facteur.reflection_standing SET updated_at = (${tenth})` });
  expect(await judged()).toEqual([{ helped: 10, hurt: 0 }]);
});

test('a reflection retired after it was found is neither recorded as a use nor received', async () => {
  const [found, retired] = await seedReflections(db, [
    { content: 'a', state: 'trusted' },
    { content: 'b', state: 'retired' },
  ]);
  const { runId } = await recordRun(db, { run: newRun(), claim: false });
  const uses = [found, retired].map((one, place) => ({ reflectionId: one!.id, place: place + 1, similarity: null }));
  const decided = { strategy: 'retrieve', repository: 'acme/rocket', askedBy: '', composition: {}, log: null } as const;
  expect(await recordRetrieval(db, { runId, uses, ...decided })).toEqual([found!.id]);
  const { rows } = await db.query({ text: 'SELECT reflection_id FROM facteur.reflection_uses' });
  expect(rows).toEqual([{ reflection_id: found!.id }]);
  await setState(db, found!.id, 'retired');
  expect((await readRetrieval(db, runId))?.trusted).toEqual([]);
});

test('a use has the time of its decision', async () => {
  await seedRuns(db, 'retrieve', { succeeded: 2 }, reflection.id);
  const { rows } = await db.query({
    text: `SELECT u.decided_at = x.decided_at AS same FROM facteur.reflection_uses u JOIN facteur.retrievals x USING (run_id)`,
  });
  expect(rows).toEqual([{ same: true }, { same: true }]);
});
