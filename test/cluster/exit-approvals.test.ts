import { describe, expect, test } from 'vitest';
import type { RunState } from '../../src/domain/run-state.ts';
import { expectRun } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { freshId, useBench } from './bench.ts';

const bench = useBench();

async function run(template: string, options: Record<string, string> = {}) {
  const facteur = await bench.start(template);
  const id = freshId(template);
  const { body } = await facteur.send(event({ interactionId: id, options }));
  const cli = (...args: readonly string[]) => facteur.cli(...args);
  return { id, name: body.workflowName, cli };
}

interface Approval {
  readonly node: string;
  readonly state: string;
  readonly message: string;
  /** The problem of the approval, or of its rules. */
  readonly problem: string;
}

async function approvals(): Promise<readonly Approval[]> {
  const { rows } = await bench.db.query<Approval>({
    text: `SELECT node, state, rules->>'message' AS message, problem || (rules->>'problem') AS problem FROM facteur.approvals ORDER BY node`,
  });
  return rows;
}

const states = async (): Promise<readonly string[]> => (await approvals()).map(({ node, state }) => `${node} ${state}`);

describe('a step of an exit handler', () => {
  test.each<[string, string, RunState, RegExp]>([
    ['approve', '0', 'succeeded', /^$/],
    ['approve', '3', 'failed', /exit code 3/],
    ['reject', '0', 'failed', /^approve: rejected by ada/],
  ])('%s, after exit code %s: the run ends as %s', async (verb, exit, state, reason) => {
    const { id, cli } = await run('asks-on-exit', { exit });
    await expect.poll(states).toEqual(['approve waiting']);
    expect(await cli('approvals', verb, id, '--by', 'ada')).toMatchObject({ code: 0 });
    expect((await expectRun(bench.db, id, state)).reason).toMatch(reason);
    expect(await states()).toEqual([`approve ${verb === 'approve' ? 'approved' : 'rejected'}`]);
  });

  test('of a canceled run asks for approval, and the decision ends the run', async () => {
    const { id, name, cli } = await run('asks-on-exit', { run: '60s' });
    await expectRun(bench.db, id, 'running');
    await cli('runs', 'cancel', id, '--by', 'ada');
    await expect.poll(states).toEqual(['approve waiting']);
    expect((await bench.workflow(name)).spec.shutdown).toBe('Stop');
    expect(await cli('approvals', 'approve', id, '--by', 'ada')).toMatchObject({ code: 0 });
    await expectRun(bench.db, id, 'canceled');
    expect(await states()).toEqual(['approve approved']);
  });

  test('that waits during a cancel keeps waiting', async () => {
    const { id, name, cli } = await run('asks-on-exit');
    await expect.poll(states).toEqual(['approve waiting']);
    await cli('runs', 'cancel', id, '--by', 'ada');
    await expect.poll(async () => (await bench.workflow(name)).spec.shutdown).toBe('Stop');
    expect(await states()).toEqual(['approve waiting']);
    expect(await cli('approvals', 'reject', id, '--by', 'ada')).toMatchObject({ code: 0 });
    expect((await expectRun(bench.db, id, 'canceled')).reason).toMatch(/^approve: rejected by ada/);
    expect(await states()).toEqual(['approve rejected']);
  });

  test('no longer waits after its workflow was terminated', async () => {
    const { id, name } = await run('asks-on-exit');
    await expect.poll(states).toEqual(['approve waiting']);
    await bench.argo('terminate', name);
    // Argo calls it succeeded, because its steps had succeeded.
    await expectRun(bench.db, id, 'succeeded');
    await expect.poll(states).toEqual(['approve gone']);
    expect(await approvals()).toMatchObject([{ problem: 'the workflow is ending' }]);
  });
});

test('the exit hook of a step asks for approval, also after a stop of the workflow', async () => {
  const { id, name, cli } = await run('asks-after-a-step');
  await expect.poll(states).toEqual(['build.onExit waiting']);
  await bench.argo('stop', name);
  await expect.poll(async () => (await bench.workflow(name)).spec.shutdown).toBe('Stop');
  expect(await cli('approvals', 'approve', id, '--by', 'ada')).toMatchObject({ code: 0 });
  await expectRun(bench.db, id, 'canceled');
  expect(await states()).toEqual(['build.onExit approved']);
});

test('inline templates of steps and tasks ask for approval, by their own rules', async () => {
  const { id, cli } = await run('asks-inline');
  for (const [node, message] of [
    ['approve', 'inline in steps'],
    ['decide', 'inline in a task'],
  ] as const) {
    await expect.poll(approvals).toContainEqual({ node, state: 'waiting', message, problem: '' });
    expect(await cli('approvals', 'approve', id, node, '--by', 'ada')).toMatchObject({ code: 0 });
  }
  await expectRun(bench.db, id, 'succeeded');
});
