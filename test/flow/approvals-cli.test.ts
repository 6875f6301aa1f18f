import { describe, expect } from 'vitest';
import { ADA, waiting } from '../support/approvals.ts';
import { OTHER_ROLE } from '../support/discord-door.ts';
import type { Facteur } from '../support/facteur.ts';
import { db, test } from '../support/ledger-fixture.ts';

/** The commands run on the ledger itself and on a server of it. The last column is the operator that they record. */
const STORES: readonly (readonly [string, (facteur: Facteur) => Facteur['cli'], string])[] = [
  ['the ledger', ({ cli }) => cli, 'an operator (command line)'],
  [
    'a server',
    ({ cliWith, url }) =>
      (...args) =>
        cliWith({ FACTEUR_SERVER: url }, ...args),
    'api loopback',
  ],
];

describe.each(STORES)('on %s', (_store, on, operator) => {
  test('lists, shows and approves a step, with values', async () => {
    const run = await waiting(db, { asks: [{ name: 'version' }], rules: { quorum: '2', approvers: OTHER_ROLE } });
    const cli = on(run.facteur);
    expect((await cli('approvals', 'list')).stdout).toMatch(
      new RegExp(`^RUN.*\n${run.runId.slice(0, 8)} +approve +plan`),
    );
    expect((await cli('approvals', 'show', run.runId)).stdout).toMatch(new RegExp(`^approvers +${OTHER_ROLE}$`, 'm'));
    expect((await cli('runs', 'show', run.runId)).stdout).toMatch(/WAITS FOR APPROVAL.*\napprove +/);
    const missing = await cli('approvals', 'approve', run.runId);
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('--set: version is required') });
    const { stdout } = await cli('approvals', 'approve', run.runId, 'approve', '--set', 'version=v1');
    expect(stdout).toBe(`step approve of run ${run.runId} is approved\n`);
    await expect.poll(run.shown).toContain(`👍 \`approve\` approved by \`${operator}\``);
    await expect.poll(run.shown).toContain('Succeeded');
    expect(run.node('deploy').inputs.parameters).toEqual([{ name: 'version', value: 'v1' }]);
    expect((await cli('approvals', 'list')).stdout).toBe('nothing waits for approval\n');
    expect((await cli('runs', 'show', run.runId)).stdout).not.toContain('WAITS FOR APPROVAL');
    expect((await cli('approvals', 'list', '--all', '-o', 'name')).stdout).toBe(`${run.runId}\n`);
  });

  test('rejects with a reason, and only a step that waits', async () => {
    const run = await waiting(db);
    const cli = on(run.facteur);
    const mistyped = await cli('approvals', 'reject', run.runId, 'other');
    expect(mistyped.stderr).toBe(
      `facteur: no step other of run ${run.runId.slice(0, 8)} is waiting for approval; name one of: approve\n`,
    );
    expect((await cli('approvals', 'reject', run.runId, '--reason', 'no')).code).toBe(0);
    await expect.poll(run.shown).toContain(`approve: rejected by ${operator}: no`);
    expect((await cli('approvals', 'approve', run.runId)).stderr).toContain('is waiting for approval');
  });
});

test('an operator without values approves those of the first approver', async () => {
  const run = await waiting(db, { asks: [{ name: 'version' }], rules: { quorum: '2' } });
  const { cli } = run.facteur;
  await run.fillIn('approve', ADA, { 'output-0': 'v1' });
  expect((await cli('approvals', 'approve', run.runId)).code).toBe(0);
  await expect.poll(run.shown).toContain('Succeeded');
  expect(run.node('deploy').inputs.parameters).toEqual([{ name: 'version', value: 'v1' }]);
});

test('--by names the person on the ledger, and is an error with a server', async () => {
  const run = await waiting(db);
  const { cli, cliWith, url } = run.facteur;
  const refused = await cliWith({ FACTEUR_SERVER: url }, 'approvals', 'approve', run.runId, '--by', 'ada');
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('the server records the name') });
  expect((await cli('approvals', 'approve', run.runId, '--by', 'ada')).code).toBe(0);
  await expect.poll(run.shown).toContain('👍 `approve` approved by `ada (command line)`');
});
