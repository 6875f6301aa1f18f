import { expect } from 'vitest';
import { recordRun } from '../../src/ledger/record-run.ts';
import { startCluster } from '../support/cluster.ts';
import { startFacteur } from '../support/facteur.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { newRun } from '../support/runs.ts';

test.each(['the ledger', 'a server'])('submit on %s applies the rules of the doors', async (store) => {
  const roles = ['200000000000000002'];
  const facteur = await startFacteur({ db, env: { FACTEUR_ROLE_MAP: JSON.stringify({ review: roles }) } });
  const cli = (...args: string[]) =>
    store === 'the ledger' ? facteur.cli(...args) : facteur.cliWith({ FACTEUR_SERVER: facteur.url }, ...args);
  const { code, stdout } = await cli('submit', 'plan', '--option', 'objective=Ship it', '--user', '42', '-o', 'json');
  expect({ code, receipt: JSON.parse(stdout) }).toEqual({
    code: 0,
    receipt: expect.objectContaining({ duplicate: false }),
  });
  const shown = JSON.parse((await cli('runs', 'show', JSON.parse(stdout).runId, '-o', 'json')).stdout);
  expect(shown).toMatchObject({ title: 'Ship it', userId: '42', request: { parameters: { objective: 'Ship it' } } });
  for (const [args, said] of [
    [['plan'], 'objective'],
    [['plan', '--option', 'objective=x', '--option', 'colour=red'], 'colour'],
    [['status'], 'status only reports'],
    [['deploy'], 'deploy is not defined; "facteur commands list" lists the commands'],
    [['plan', '--option', 'objective={{x}}'], 'objective'],
    [
      ['review', '--option', 'project=x', '--option', 'artifact=y'],
      /none of your roles|command requires a role that the user does not have/,
    ],
  ] as const) {
    const refused = await cli('submit', ...args);
    expect({ code: refused.code, said: refused.stderr }).toEqual({ code: 1, said: expect.stringMatching(said) });
    expect(refused.stderr).not.toContain('body.');
  }
  const allowed = await cli(
    'submit',
    'review',
    '--option',
    'project=x',
    '--option',
    'artifact=y',
    '--user',
    '42',
    '--roles',
    roles[0] ?? '',
  );
  expect(allowed).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^run [-0-9a-f]{36} is \w+: workflow review-/),
  });
});

test.each(['the ledger', 'a server'])('logs and open on %s show the log and the page of a run', async (store) => {
  const cluster = await startCluster({ defaults: { outcome: 'fail', at: 1, pendingMs: 0, startMs: 0, stepMs: 0 } });
  const env = { FACTEUR_ARGO_UI_URL: 'https://argo.example.com' };
  const facteur = await startFacteur({ db, cluster, env, roles: ['http', 'submit', 'follow'] });
  const cli = (...args: string[]) =>
    store === 'the ledger' ? facteur.cli(...args) : facteur.cliWith({ FACTEUR_SERVER: facteur.url }, ...args);
  const { runId } = JSON.parse((await cli('submit', 'plan', '--option', 'objective=x', '-o', 'json')).stdout);
  expect((await cli('runs', 'watch', runId)).code).toBe(1);
  const log = await cli('runs', 'logs', runId.slice(0, 8));
  expect(log).toMatchObject({ code: 0, stdout: expect.stringContaining('step-1: works\n') });
  expect((await cli('runs', 'logs', '-f', runId)).stdout).toBe(`==> step-1 <==\n${log.stdout}`);
  expect(JSON.parse((await cli('runs', 'logs', '-f', '-o', 'json', runId)).stdout)).toEqual({
    step: 'step-1',
    lines: log.stdout.trimEnd(),
  });
  expect((await cli('runs', 'logs', runId, 'step-1', '-o', 'name')).stdout).toBe('step-1\n');
  expect(await cli('submit', 'plan', '--option', 'objective')).toMatchObject({
    code: 2,
    stderr: 'facteur: --option: must be name=value, not "objective"\n',
  });
  expect(await cli('runs', 'logs', runId, 'nope')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no log: no step'),
  });
  expect((await cli('runs', 'open', runId)).stdout).toMatch(/^https:\/\/argo\.example\.com\/workflows\/.*\n$/);
});

test('a log that cannot be read is not followed', async () => {
  const facteur = await startFacteur({ db, env: { FACTEUR_DISABLE_DISPATCHER: 'true' }, roles: ['http'] });
  const { runId } = await recordRun(db, { run: newRun(), claim: true });
  expect(await facteur.cliWith({ FACTEUR_SERVER: facteur.url }, 'runs', 'logs', '-f', runId)).toMatchObject({
    code: 1,
    stdout: '',
    stderr: 'facteur: no log: the dispatcher is disabled\n',
  });
});
