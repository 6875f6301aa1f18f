import { randomUUID } from 'node:crypto';
import { describe, expect } from 'vitest';
import { callApi } from '../support/api.ts';
import type { Json } from '../support/cluster.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { LEARNING, seedRuns, setState, standingOf, startTask, teach } from '../support/knowledge.ts';
import { trustedOutcomes } from '../../src/ledger/retrieval-outcomes.ts';
import { db, ownConnection, rowsRead, test } from '../support/ledger-fixture.ts';
import { seedReflections } from '../support/reflections.ts';

const UNTRUSTING = { ...LEARNING, FACTEUR_KNOWLEDGE_TRUSTED_REPOSITORIES: '' };
const LESSON = 'Mend the rocket with the torque wrench.';
const TOKENS = JSON.stringify([
  { name: 'reader', scope: 'read', token: 'a-token-for-reading' },
  { name: 'ops', scope: 'operate', token: 'a-token-for-operating' },
]);

/** Three runs that each received the reflections of the earlier ones. All are trusted automatically. */
async function generations(facteur: Facteur): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const name of ['first', 'second', 'third']) {
    const { received, reflectionId } = await teach(facteur, name, `Mend the rocket, as the ${name} run did.`);
    expect(received?.reflections.map(({ id }) => id).toSorted() ?? []).toEqual(ids.toSorted());
    ids.push(reflectionId);
  }
  await startTask(facteur, 'reader');
  return ids;
}

const statesOf = (ids: readonly string[]) =>
  Promise.all(ids.map(async (id) => (await standingOf(db, id)).state as string));

describe('facteur knowledge trust', () => {
  test('lets runs receive a reflection, and is recorded', async () => {
    const facteur = await startFacteur({ db, env: UNTRUSTING });
    const { reflectionId, runId } = await teach(facteur, 'gh-1', LESSON);
    expect((await startTask(facteur, 'gh-2')).received).toBeUndefined();
    const { code, stdout } = await facteur.cli('knowledge', 'trust', reflectionId, '--reason', 'I read it');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(`${reflectionId} +quarantined → trusted +failure_postmortem +acme/rocket +${runId.slice(0, 8)}`),
    );
    expect(await standingOf(db, reflectionId)).toEqual({ state: 'trusted', reason: 'I read it', by: 'an operator' });
    expect((await startTask(facteur, 'gh-3')).received?.reflections).toHaveLength(1);
    expect((await facteur.cli('runs', 'show', runId)).stdout).toMatch(
      /reflection\.trusted +.*an operator +.*I read it/,
    );
    // A second time, nothing changes.
    expect((await facteur.cli('knowledge', 'trust', reflectionId)).stdout).toMatch(/ {2}trusted {2}/);
    expect(await standingOf(db, reflectionId)).toMatchObject({ reason: 'I read it' });
  });

  test('rejects a reflection that descends from an untrusted one, unless both are trusted together', async () => {
    const facteur = await startFacteur({ db, env: LEARNING });
    const [first = '', second = '', third = ''] = await generations(facteur);
    await facteur.cli('knowledge', 'retire', first, '--with-descendants');
    expect(await statesOf([first, second, third])).toEqual(['retired', 'retired', 'retired']);
    const refused = await facteur.cli('knowledge', 'trust', second);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(`${second} descends from ${first}`) });
    expect(await statesOf([first, second, third])).toEqual(['retired', 'retired', 'retired']);
    expect((await facteur.cli('knowledge', 'trust', second, first)).code).toBe(0);
    expect(await statesOf([first, second, third])).toEqual(['trusted', 'trusted', 'retired']);
  });

  test('rejects unknown ids, and then trusts nothing', async () => {
    const facteur = await startFacteur({ db, env: UNTRUSTING });
    const { reflectionId } = await teach(facteur, 'gh-1', LESSON);
    const unknown = randomUUID();
    for (const decision of ['trust', 'retire']) {
      expect(await facteur.cli('knowledge', decision, reflectionId, unknown)).toMatchObject({
        code: 1,
        stderr: `facteur: no such reflection: ${unknown}\n`,
      });
    }
    expect(await standingOf(db, reflectionId)).toMatchObject({ state: 'quarantined' });
    expect((await facteur.cli('knowledge', 'trust', 'gh-1')).code).toBe(2);
  });
});

describe('facteur knowledge retire', () => {
  test('lists the descendants, and quarantines those that nobody has reviewed', async () => {
    const facteur = await startFacteur({ db, env: LEARNING });
    const [first = '', second = '', third = ''] = await generations(facteur);
    await setState(db, third, 'trusted');
    const { stdout } = await facteur.cli('knowledge', 'retire', first, '--reason', 'poisoned');
    expect(stdout).toMatch(new RegExp(`^${first} +trusted → retired`, 'm'));
    expect(stdout).toMatch(new RegExp(`^└ ${second} +trusted → quarantined`, 'm'));
    expect(stdout).toMatch(new RegExp(`^└ ${third} +trusted {2}`, 'm'));
    expect(stdout).toContain('2 descendants not retired');
    expect(await standingOf(db, second)).toMatchObject({ reason: 'its run received a reflection that was retired' });
    const next = await startTask(facteur, 'gh-9');
    expect(next.received?.reflections.map(({ id }) => id)).toEqual([third]);
  });

  test('--with-descendants retires them, too', async () => {
    const facteur = await startFacteur({ db, env: LEARNING });
    const ids = await generations(facteur);
    const { stdout } = await facteur.cli('knowledge', 'retire', ids[0]!, '--with-descendants', '--json');
    const changes = stdout
      .trim()
      .split('\n')
      .map((line): Json => JSON.parse(line));
    expect(changes.map(({ state, isDescendant }) => [state, isDescendant])).toEqual([
      ['retired', false],
      ['retired', true],
      ['retired', true],
    ]);
    expect((await startTask(facteur, 'gh-9')).received).toBeUndefined();
  });
});

test('over /v1: operate tokens decide and are recorded; read tokens and workflows get a 403', async () => {
  const facteur = await startFacteur({ db, env: { ...UNTRUSTING, FACTEUR_SERVER_API_TOKENS: TOKENS } });
  const { reflectionId, token: runToken } = await teach(facteur, 'gh-1', LESSON);
  const body = { reflectionIds: [reflectionId] };
  for (const decision of ['trust', 'retire']) {
    for (const token of [runToken, 'a-token-for-reading']) {
      expect((await callApi(facteur.url, `POST /v1/reflections/${decision}`, { token, body })).status).toBe(403);
    }
  }
  expect(await standingOf(db, reflectionId)).toMatchObject({ state: 'quarantined' });
  const remote = { FACTEUR_SERVER: facteur.url, FACTEUR_TOKEN: 'a-token-for-operating' };
  expect((await facteur.cliWith(remote, 'knowledge', 'trust', reflectionId)).code).toBe(0);
  expect(await standingOf(db, reflectionId)).toMatchObject({ state: 'trusted', by: 'api ops' });
  expect((await facteur.cliWith(remote, 'knowledge', 'retire', reflectionId)).stdout).toContain('trusted → retired');
  expect((await facteur.cliWith(remote, 'knowledge', 'stats')).stdout).toContain('0 trusted, 0 quarantined, 1 retired');
  const answer = await callApi(facteur.url, 'POST /v1/reflections/trust', {
    token: 'a-token-for-operating',
    body: { reflectionIds: [randomUUID()] },
  });
  expect(answer).toMatchObject({ status: 404, body: { code: 'reflection_not_found' } });
});

test('facteur knowledge stats compares runs that received reflections with those held out', async () => {
  const facteur = await startFacteur({ db, env: LEARNING });
  expect((await facteur.cli('knowledge', 'stats')).stdout).toBe(
    'reflections: 0 trusted, 0 quarantined, 0 retired\n\nno runs looked for reflections\n',
  );
  await seedRuns(db, 'retrieve', { succeeded: 9, failed: 1, canceled: 2, lost: 1 });
  await seedRuns(db, 'holdout', { succeeded: 2, failed: 2, error: 1 });
  await seedRuns(db, 'nothing_similar', { failed: 1 });
  const stats: Json = JSON.parse((await facteur.cli('knowledge', 'stats', '--json')).stdout);
  expect(stats.groups).toMatchObject([
    {
      command: 'implementation',
      repository: 'acme/rocket',
      with: { runs: 10, succeeded: 9, rate: 0.9 },
      heldOut: { runs: 4, succeeded: 2, rate: 0.5 },
      without: { runs: 1, succeeded: 0, rate: 0 },
      difference: { value: 0.4 },
    },
  ]);
  const { stdout } = await facteur.cli('knowledge', 'stats');
  expect(stdout).toMatch(
    /^implementation {2}acme\/rocket {2}90 % of 10 \(60 to 98\) {2}50 % of 4 \(15 to 85\) {2}\+40 \(−\d+ to \+\d+\), may be chance {2}0 % of 1$/m,
  );
});

test('facteur knowledge stats shows only the largest groups', async () => {
  const facteur = await startFacteur({ db, env: LEARNING });
  await seedRuns(db, 'retrieve', { succeeded: 2 });
  await db.query({
    text: `WITH run AS (
        INSERT INTO facteur.runs (run_id, delivery_id, delivery_key, kind, command, door, state, previous_state, namespace,
          workflow_name, correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at)
        SELECT gen_random_uuid(), n::text, n::text, 'codex', 'implementation', 'http', 'failed', 'running', 'argo', n::text,
          '', '', '', '', '', now() FROM generate_series(1, 700) n RETURNING run_id
      )
      INSERT INTO facteur.retrievals (run_id, strategy, repository, asked_by) SELECT run_id, 'retrieve', run_id::text, '' FROM run`,
  });
  const { complete, groups }: Json = JSON.parse((await facteur.cli('knowledge', 'stats', '--json')).stdout);
  expect([complete, groups.length]).toEqual([false, 500]);
  expect(groups).toContainEqual(expect.objectContaining({ repository: 'acme/rocket' }));
  expect((await facteur.cli('knowledge', 'stats')).stdout).toContain('the 500 largest groups');
});

test('maintenance retires a harmful reflection once it is certain; a person can trust it again', async () => {
  const facteur = await startFacteur({ db, env: UNTRUSTING });
  const bad = await teach(facteur, 'gh-1', LESSON);
  const good = await teach(facteur, 'gh-2', 'Mend the rocket slowly.');
  await facteur.cli('knowledge', 'trust', bad.reflectionId, good.reflectionId);
  await seedRuns(db, 'holdout', { succeeded: 30, failed: 10 });
  await seedRuns(db, 'retrieve', { succeeded: 1, failed: 6 }, bad.reflectionId);
  await seedRuns(db, 'retrieve', { succeeded: 9, failed: 3 }, good.reflectionId);
  expect((await facteur.cli('maintain')).stdout).toContain('0 reflections retired');
  await seedRuns(db, 'retrieve', { failed: 3 }, bad.reflectionId);
  expect((await facteur.cli('maintain', '--dry-run')).stdout).toContain('1 reflection would be retired');
  expect(await standingOf(db, bad.reflectionId)).toMatchObject({ state: 'trusted' });
  expect((await facteur.cli('maintain')).stdout).toContain('1 reflection retired');
  expect(await standingOf(db, bad.reflectionId)).toEqual({
    state: 'retired',
    reason: expect.stringMatching(/^1 of 10 runs that received it succeeded/),
    by: 'facteur',
  });
  expect(await standingOf(db, good.reflectionId)).toMatchObject({ state: 'trusted' });
  await facteur.cli('knowledge', 'trust', bad.reflectionId);
  // Only runs after the person's decision count against it.
  expect((await facteur.cli('maintain')).stdout).toContain('0 reflections retired');
});

test('maintenance judges all reflections, one page at a time', async () => {
  const facteur = await startFacteur({ db, env: UNTRUSTING });
  await seedReflections(
    db,
    Array.from({ length: 120 }, (_, nth) => ({ content: `Lesson ${nth}`, state: 'trusted' as const })),
  );
  await db.query({ text: `UPDATE facteur.reflection_standing SET updated_at = now() - interval '1 day'` });
  await seedRuns(db, 'holdout', { succeeded: 40 });
  await db.query({
    text: `WITH used AS (
        SELECT gen_random_uuid() AS run_id, reflection_id FROM facteur.reflection_standing, generate_series(1, 10)
      ), run AS (
        INSERT INTO facteur.runs (run_id, delivery_id, delivery_key, kind, command, door, state, previous_state, namespace,
          workflow_name, correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at)
        SELECT run_id, run_id::text, run_id::text, 'codex', 'implementation', 'http', 'failed', 'running', 'argo', run_id::text,
          '', '', '', '', '', now() FROM used
      ), retrieval AS (
        INSERT INTO facteur.retrievals (run_id, strategy, repository, asked_by) SELECT run_id, 'retrieve', 'acme/rocket', '' FROM used
      )
      INSERT INTO facteur.reflection_uses (run_id, reflection_id, place, similarity) SELECT run_id, reflection_id, 1, 0.5 FROM used`,
  });
  await db.query({ text: 'ANALYZE' });
  const own = await ownConnection();
  let [pages, judged] = [0, 0];
  let after: string | undefined;
  do {
    const before = await rowsRead(own.db, 'facteur.reflection_uses');
    const page = await trustedOutcomes(own.db, 8, after);
    expect((await rowsRead(own.db, 'facteur.reflection_uses')) - before).toBeLessThan(600);
    pages += 1;
    judged += page.outcomes.length;
    after = page.next;
  } while (after !== undefined);
  await own.close();
  expect([pages, judged]).toEqual([3, 120]);
  expect((await facteur.cli('maintain')).stdout).toContain('120 reflections retired');
});
