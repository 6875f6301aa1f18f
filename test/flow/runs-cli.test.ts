import { describe, expect } from 'vitest';
import { keepDeadLetter } from '../../src/ledger/unprocessed.ts';
import { recordRun } from '../../src/ledger/record-run.ts';
import type { Json } from '../support/cluster.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { event } from '../support/messages.ts';
import { forceState, newRun } from '../support/runs.ts';
import { expectRun } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';

const lines = (stdout: string): Json[] =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

type Cli = (...args: string[]) => ReturnType<Facteur['cli']>;

/** The same commands on the ledger itself, and on a facteur that serves it. */
const STORES: readonly (readonly [string, (facteur: Facteur) => Cli])[] = [
  ['the ledger', ({ cli }) => cli],
  [
    'a server',
    ({ cliWith, url }) =>
      (...args) =>
        cliWith({ FACTEUR_SERVER: url, FACTEUR_TOKEN: TOKEN }, ...args),
  ],
];
const TOKEN = 'operate-token';
const ENV = { FACTEUR_SERVER_API_TOKENS: JSON.stringify([{ name: 'ops', scope: 'operate', token: TOKEN }]) };

/** Runs accepted a second apart, except for two that were accepted at the same time. */
async function recordSeven(): Promise<string[]> {
  const ids = Array.from({ length: 7 }, (_, index) => `d${index}`);
  for (const [index, deliveryId] of ids.entries()) {
    const acceptedAt = new Date(Date.UTC(2026, 0, 1, 0, 0, index === 3 ? 2 : index));
    const command = index % 2 === 0 ? 'plan' : 'review';
    await recordRun(db, { run: newRun({ deliveryId, acceptedAt, command, userId: `user-${index % 3}` }), claim: true });
  }
  return ids;
}

describe.each(STORES)('on %s', (_store, on) => {
  test('list shows the newest first, and pages neither repeat nor omit any', async () => {
    const facteur = await startFacteur({ db, roles: ['http'], env: ENV });
    const cli = on(facteur);
    expect((await cli('runs', 'list')).stdout).toBe('no runs\n');
    const ids = await recordSeven();
    const all = lines((await cli('runs', 'list', '--json')).stdout);
    expect(all.map(({ deliveryId }) => deliveryId).toSorted()).toEqual(ids);
    expect(all.map(({ acceptedAt }) => acceptedAt)).toEqual(
      all
        .map(({ acceptedAt }) => acceptedAt)
        .toSorted()
        .toReversed(),
    );
    const paged: Json[] = [];
    for (let page = lines((await cli('runs', 'list', '--json', '--limit', '3')).stdout); page.length > 0;) {
      paged.push(...page);
      const before = paged.at(-1)?.runId;
      page = lines((await cli('runs', 'list', '--json', '--limit', '3', '--before', before)).stdout);
    }
    expect(paged).toEqual(all);
  });

  test('list filters by state, command and user', async () => {
    const facteur = await startFacteur({ db, roles: ['http'], env: ENV });
    const cli = on(facteur);
    await recordSeven();
    const { rows } = await db.query<{ run_id: string }>({
      text: `SELECT run_id FROM facteur.runs WHERE delivery_id = 'd4'`,
    });
    await forceState(db, rows[0]?.run_id ?? '', 'failed');
    const listed = async (...args: string[]): Promise<string[]> =>
      lines((await cli('runs', 'list', '--json', ...args)).stdout).map(({ deliveryId }) => deliveryId);
    expect(await listed('--state', 'failed,lost')).toEqual(['d4']);
    expect(await listed('--command', 'review')).toEqual(['d5', 'd3', 'd1']);
    expect(await listed('--user', 'user-1', '--state', 'queued')).toEqual(['d1']);
    expect(await listed('--state', 'succeeded')).toEqual([]);
  });

  test('a table has one line per run and no control characters', async () => {
    const facteur = await startFacteur({ db, roles: ['http'], env: ENV });
    const cli = on(facteur);
    await recordRun(db, { run: newRun({ deliveryId: 'd\u001b[2J', command: 'evil\u202e\n' }), claim: true });
    const { stdout } = await cli('runs', 'list');
    expect(stdout.split('\n')).toHaveLength(3);
    expect(stdout).toContain(String.raw`evil\u202e\u000a`);
    const shown = (await cli('runs', 'show', 'd\u001b[2J')).stdout;
    expect(shown).toContain(String.raw`d\u001b[2J`);
    expect(stdout + shown).not.toMatch(/[\u001b\u202e]/);
  });

  test('show finds a run by its id, its delivery and its workflow, and prints its history', async () => {
    const facteur = await startFacteur({ db, env: ENV });
    const cli = on(facteur);
    const { body } = await facteur.send(event({ interactionId: 'd1', user: { id: '42' } }));
    await expectRun(db, 'd1', 'submitted');
    const shown = await Promise.all(
      [body.runId, 'd1', body.workflowName].map((reference) => cli('runs', 'show', reference, '--json')),
    );
    expect(new Set(shown.map(({ stdout }) => stdout)).size).toBe(1);
    const run = JSON.parse(shown[0]?.stdout ?? '');
    expect(run).toMatchObject({ runId: body.runId, deliveryId: 'd1', state: 'submitted', userId: '42', attempts: 1 });
    expect(run.events.map(({ type, payload }: Json) => [type, payload.to])).toEqual([
      ['state.change', 'queued'],
      ['state.change', 'submitted'],
    ]);
    const { stdout } = await cli('runs', 'show', 'd1');
    expect(stdout).toMatch(/^workflow +plan-.* in /m);
    expect(stdout).toMatch(/^requested +2026-.* via HTTP$/m);
    expect(stdout).toMatch(/^by +42$/m);
    expect(stdout).toMatch(/^submitted +under 1 s/m);
  });

  test('a prefix of an id finds its run, and an ambiguous one lists the candidates', async () => {
    const facteur = await startFacteur({ db, roles: ['http'], env: ENV });
    const cli = on(facteur);
    for (const deliveryId of ['d1', 'd2', 'd3']) {
      await recordRun(db, { run: newRun({ deliveryId, title: `Goal ${deliveryId}` }), claim: true });
    }
    const ids = [
      'abcdef01-0000-4000-8000-000000000001',
      'abcdef02-0000-4000-8000-000000000002',
      'abcdef02-1000-4000-8000-000000000003',
    ];
    for (const [index, id] of ids.entries()) {
      await db.query({
        text: 'UPDATE facteur.runs SET run_id = $1 WHERE delivery_id = $2',
        values: [id, `d${index + 1}`],
      });
    }
    const found = async (reference: string): Promise<string> =>
      JSON.parse((await cli('runs', 'show', '--json', reference)).stdout).runId;
    expect([await found('abcdef01'), await found('ABCDEF02-1'), await found('d2')]).toEqual([ids[0], ids[2], ids[1]]);
    const { code, stderr } = await cli('runs', 'show', 'abcdef02');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /^facteur: abcdef02 may mean any of abcdef02-.*\/plan Goal d[23].*, abcdef02-.*\n$/,
      ),
    });
    expect((await cli('runs', 'show', 'abc')).stderr).toContain('unknown run abc');
    // A delivery id that equals the prefix of another run's id does not hide that run.
    await recordRun(db, { run: newRun({ deliveryId: 'abcdef01' }), claim: true });
    expect((await cli('runs', 'show', 'abcdef01')).stderr).toContain('may mean any of');
  });

  test('lists are filtered by time, door and text, and printed in formats for programs', async () => {
    const facteur = await startFacteur({ db, roles: ['http'], env: ENV });
    const cli = on(facteur);
    await recordSeven();
    await recordRun(db, { run: newRun({ deliveryId: 'new', title: 'Ship the Sandbox', door: 'kafka' }), claim: true });
    const listed = async (...args: string[]): Promise<string[]> =>
      lines((await cli('runs', 'list', '--json', ...args)).stdout).map(({ deliveryId }) => deliveryId);
    expect(await listed('--since', '1h')).toEqual(['new']);
    expect(await listed('--since', '2026-01-01T00:00:05Z')).toEqual(['new', 'd6', 'd5']);
    expect(await listed('--door', 'kafka')).toEqual(['new']);
    expect(await listed('--grep', 'the sand')).toEqual(['new']);
    expect(await listed('--grep', 'd4', '--door', 'http')).toEqual(['d4']);
    expect(await listed('--state', 'live', '--limit', '1')).toEqual(['new']);
    const chosen = await cli('runs', 'list', '--limit', '1', '--json', 'deliveryId,title');
    expect(chosen.stdout).toBe('{"deliveryId":"new","title":"Ship the Sandbox"}\n');
    expect((await cli('runs', 'list', '-o', 'name', '--limit', '1')).stdout).toMatch(/^[-0-9a-f]{36}\n$/);
    expect((await cli('runs', 'list', '-o', 'yaml', '--limit', '1')).stdout).toContain('  title: Ship the Sandbox\n');
    expect((await cli('runs', 'list', '-o', 'yaml', '--json', 'title', '--limit', '1')).stdout).toBe(
      '- title: Ship the Sandbox\n',
    );
    for (const args of [
      ['--json', 'runId,nope'],
      ['--since', 'soon'],
      ['--door', 'window'],
      ['-o', 'xml'],
    ]) {
      expect({ args, code: (await cli('runs', 'list', ...args)).code }).toEqual({ args, code: 2 });
    }
  });

  test('one command changes several runs, and one failure does not stop the others', async () => {
    const facteur = await startFacteur({ db, env: ENV });
    const cli = on(facteur);
    for (const interactionId of ['d1', 'd2']) {
      await facteur.send(event({ interactionId }));
      await expectRun(db, interactionId, 'submitted');
    }
    const dry = await cli('runs', 'cancel', '--dry-run', 'd1', 'd2');
    expect(dry.stdout).toMatch(/^would cancel run [0-9a-f]{8} \(\/plan.*\)\nwould cancel run .*\n$/);
    const named = await cli('runs', 'cancel', '--dry-run', '-o', 'name', 'd1', 'd2');
    expect(named.stdout).toMatch(/^(?:[-0-9a-f]{36}\n){2}$/);
    expect((await cli('runs', 'cancel', '--dry-run', '-o', 'yaml', 'd1', 'd2')).stdout).toMatch(
      /^---\ndryRun: true\nid: .*\nname: .*\n---\ndryRun: true\n/,
    );
    const { runId } = (await facteur.send(event({ interactionId: 'd3' }))).body;
    await forceState(db, runId, 'failed');
    const { code, stdout, stderr } = await cli('runs', 'retry', 'd1', 'd3', 'd3');
    expect({ code, stdout }).toEqual({
      code: 1,
      stdout: expect.stringMatching(/^run [-0-9a-f]{36} is retried as run .*\n$/),
    });
    expect(stderr).toMatch(
      /^facteur: run [0-9a-f]{8} \(\/plan\) is submitted: cancel it first\nfacteur: 1 of 2 failed\n$/,
    );
    expect((await cli('runs', 'cancel', 'd1', 'nobody')).stderr).toBe('facteur: unknown run nobody\n');
    const asked = JSON.parse((await cli('runs', 'show', 'd1', '-o', 'json')).stdout);
    expect(asked).toMatchObject({ cancelRequestedBy: '', request: { parameters: { action: 'plan' } }, retriedBy: '' });
    expect(JSON.parse((await cli('runs', 'show', 'd3', '-o', 'json')).stdout).retriedBy).toMatch(/^[-0-9a-f]{36}$/);
  });

  test('watch follows a run to its end, and its exit code shows how it ended', async () => {
    const facteur = await startFacteur({ db, roles: ['http'], env: ENV });
    const cli = on(facteur);
    await recordRun(db, { run: newRun({ deliveryId: 'd1', title: 'Ship it' }), claim: true });
    const { rows } = await db.query<{ run_id: string }>({ text: 'SELECT run_id FROM facteur.runs' });
    const runId = rows[0]?.run_id ?? '';
    const watching = cli('runs', 'watch', 'd1');
    await forceState(db, runId, 'failed');
    expect(await watching).toMatchObject({ code: 1, stderr: `facteur: run ${runId.slice(0, 8)} ended: failed\n` });
    expect((await watching).stdout).toMatch(/^[0-9a-f]{8} {2}failed.* {2}\/plan Ship it\n$/m);
    await forceState(db, runId, 'succeeded');
    expect((await cli('runs', 'watch', runId)).code).toBe(0);
    expect((await cli('runs', 'watch', runId, '-o', 'name')).stdout).toBe(`${runId}\n`);
    expect((await cli('runs', 'watch', runId, '-o', 'yaml')).stdout).toMatch(/^---\nrunId: /);
  });

  test('a run is shown and opened with links to its workflow and its trace', async () => {
    const links = {
      FACTEUR_ARGO_UI_URL: 'https://argo.example.org',
      FACTEUR_TELEMETRY_TRACE_URL: 'https://jaeger.example.org/trace/{trace_id}',
    };
    const facteur = await startFacteur({ db, env: { ...ENV, ...links } });
    const cli = on(facteur);
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const page = `https://jaeger.example.org/trace/${trace}`;
    const { runId, workflowName } = (
      await facteur.send(event({ interactionId: 'd1' }), { traceparent: `00-${trace}-00f067aa0ba902b7-01` })
    ).body;
    await facteur.send(event({ interactionId: 'd2' }), { traceparent: `00-${trace}-00f067aa0ba902b7-00` });
    expect((await cli('runs', 'show', 'd1')).stdout).toContain(`\ntrace      ${page}\n`);
    expect(JSON.parse((await cli('runs', 'show', 'd1', '-o', 'json')).stdout).links).toMatchObject({ trace: page });
    expect((await cli('runs', 'show', 'd2')).stdout).toContain(`\ntrace      ${trace}\n`);
    expect((await cli('runs', 'open', 'd1', '--trace')).stdout).toBe(`${page}\n`);
    expect((await cli('runs', 'open', 'd1')).stdout).toContain(
      `https://argo.example.org/workflows/argo-workflows/${workflowName}`,
    );
    await forceState(db, runId, 'refused');
    expect(await cli('runs', 'open', 'd1')).toMatchObject({
      code: 1,
      stderr: `facteur: run ${runId.slice(0, 8)} has no page: it was refused before it had a workflow\n`,
    });
    expect((await cli('runs', 'open', 'd1', '--trace', '-o', 'json')).stdout).toBe(
      `${JSON.stringify({ runId, url: page })}\n`,
    );
    expect(await cli('runs', 'open', 'd2', '--trace')).toMatchObject({
      code: 1,
      stderr: `facteur: no link to trace ${trace}: it is not sampled, or telemetry.trace_url is not configured\n`,
    });
  });

  test('a delivery id that equals the workflow name of another run does not hide that run', async () => {
    const facteur = await startFacteur({ db, env: ENV });
    const { runId, workflowName } = (await facteur.send(event({ interactionId: 'd1' }))).body;
    await facteur.send(event({ interactionId: workflowName }));
    const { stdout } = await on(facteur)('runs', 'show', workflowName, '--json');
    expect(JSON.parse(stdout).runId).toBe(runId);
  });

  test('wrong usage exits with 2, an unknown run with 1', async () => {
    const facteur = await startFacteur({ db, roles: ['http'], env: ENV });
    const cli = on(facteur);
    expect(await cli('runs', 'show', 'no\u001bbody')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'facteur: unknown run no\\u001bbody\n',
    });
    for (const args of [
      ['runs', 'list', '--state', 'paused'],
      ['runs', 'list', '--limit', '0'],
      ['runs', 'list', '--limit', 'many'],
      ['runs', 'list', '--colour'],
      ['runs', 'show'],
      ['runs', 'stop', 'd1'],
      ['runs', 'show', 'a', 'b'],
    ]) {
      const { code, stderr } = await cli(...args);
      expect({ args, code, said: stderr.length > 0 }).toEqual({ args, code: 2, said: true });
    }
    expect((await cli('runs', 'list', '--before', 'nobody')).code).toBe(1);
  });

  test('a run is canceled and retried, and failures are reported in the same words', async () => {
    const facteur = await startFacteur({ db, env: ENV });
    const cli = on(facteur);
    const { body } = await facteur.send(event({ interactionId: 'd1' }));
    await expectRun(db, 'd1', 'submitted');
    expect(await cli('runs', 'retry', 'd1')).toMatchObject({
      code: 1,
      stderr: `facteur: run ${body.runId.slice(0, 8)} (/plan) is submitted: cancel it first\n`,
    });
    expect((await cli('runs', 'cancel', 'd1')).stdout).toBe(`run ${body.runId} is being canceled\n`);
    await forceState(db, body.runId, 'failed');
    expect((await cli('runs', 'cancel', body.runId)).stdout).toBe(`run ${body.runId} has already ended: failed\n`);
    const { stdout } = await cli('runs', 'retry', body.workflowName, '--json');
    const { runId, duplicate } = JSON.parse(stdout);
    expect(duplicate).toBe(false);
    expect((await cli('runs', 'retry', 'd1')).stdout).toBe(`run ${body.runId} was already retried as run ${runId}\n`);
  });

  test('dead letters are listed in pages, shown, replayed and dropped', async () => {
    const facteur = await startFacteur({ db, env: ENV });
    const cli = on(facteur);
    expect((await cli('dead-letters', 'list')).stdout).toBe('no dead letters\n');
    const letter = { door: 'http', reason: 'forbidden', attempts: 1, headers: { ':path': '/events' } };
    for (const deliveryId of ['d1', 'd2', 'd3']) {
      await keepDeadLetter(db, { ...letter, deliveryId, body: Buffer.from('{"command":"plan","options":{}}') });
    }
    const listed = async (...args: string[]): Promise<string[]> =>
      lines((await cli('dead-letters', 'list', '--json', ...args)).stdout).map(({ id }) => id);
    const ids = await listed();
    const [first = '', second = '', third = ''] = ids;
    expect([await listed('--limit', '2'), await listed('--after', second)]).toEqual([[first, second], [third]]);
    expect((await cli('dead-letters', 'show', third, '--body')).stdout).toBe('{"command":"plan","options":{}}');
    expect((await cli('dead-letters', 'show', third)).stdout).toMatch(/:path +\/events/);
    expect((await cli('dead-letters', 'replay', first)).stdout).toMatch(/^dead letter \d+ became run [-0-9a-f]{36}\n$/);
    // An id that is given twice is dropped once.
    expect(await cli('dead-letters', 'drop', second, second)).toMatchObject({
      code: 0,
      stdout: `dead letter ${second} dropped\n`,
    });
    expect(await listed()).toEqual([third]);
    expect((await cli('dead-letters', 'replay', first)).stderr).toBe(
      `facteur: dead letter ${first} was already replayed\n`,
    );
    expect((await cli('dead-letters', 'replay', '999')).stderr).toBe('facteur: unknown dead letter 999\n');
    const dry = (...meant: string[]) => cli('dead-letters', 'replay', '--dry-run', ...meant);
    expect((await dry(first, second, third)).stdout).toBe(
      `would not replay dead letter ${first}: it was already replayed\n` +
        `would not replay dead letter ${second}: it was already dropped\nwould replay dead letter ${third}\n`,
    );
    expect(await dry('999')).toMatchObject({ code: 1, stdout: '', stderr: 'facteur: unknown dead letter 999\n' });
    expect((await dry('--all')).stdout).toBe(`would replay dead letter ${third}\n`);
  });

  test('refusals are listed and filtered', async () => {
    const facteur = await startFacteur({ db, env: { ...ENV, FACTEUR_ROLE_MAP: '{"plan": ["123456789012345678"]}' } });
    const cli = on(facteur);
    for (const id of ['1', '2']) {
      await facteur.send(event({ interactionId: id, user: { id } }));
    }
    const found = lines((await cli('refusals', 'list', '--json')).stdout);
    expect(found.map(({ deliveryId }) => deliveryId)).toEqual(['2', '1']);
    expect(lines((await cli('refusals', 'list', '--json', '--user', '1')).stdout)).toEqual([found[1]]);
    expect(lines((await cli('refusals', 'list', '--json', '--before', found[0]?.id)).stdout)).toEqual([found[1]]);
    expect((await cli('refusals', 'list', '--command', 'review')).stdout).toBe('no refusals\n');
  });
});
