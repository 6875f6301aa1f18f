import { describe, expect, test } from 'vitest';
import type { Facteur } from '../support/facteur.ts';
import { expectRun, runOf } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { expectPhase, freshId, useBench } from './bench.ts';

// What people do to workflows: with facteur, and with Argo directly.

const bench = useBench();

interface Sent {
  readonly facteur: Facteur;
  readonly id: string;
  readonly name: string;
}

async function run(template: string, options: Record<string, string> = {}): Promise<Sent> {
  const facteur = await bench.start(template);
  const id = freshId(template);
  const { body } = await facteur.send(event({ interactionId: id, options }));
  return { facteur, id, name: body.workflowName };
}

/** One run that has the lock, and one that waits for it. */
async function runsOfOneLock(): Promise<{ readonly holder: Sent; readonly blocked: Sent }> {
  const holder = await run('one-at-a-time');
  await expectRun(bench.db, holder.id, 'running');
  const blocked = await run('one-at-a-time');
  await expect
    .poll(async () => (await bench.workflow(blocked.name)).status?.message)
    .toMatch(/Waiting for .*one-at-a-time/);
  return { holder, blocked };
}

describe('facteur cancels', () => {
  test('a running workflow', async () => {
    const { facteur, id, name } = await run('as-told', { run: '60s' });
    await expectRun(bench.db, id, 'running');
    await facteur.cli('runs', 'cancel', id, '--by', 'ada');
    await expectRun(bench.db, id, 'canceled');
    expect((await bench.workflow(name)).spec.shutdown).toBe('Stop');
  });

  test('a workflow that waits in a suspend step', async () => {
    const { facteur, id } = await run('suspended');
    await expectRun(bench.db, id, 'running');
    await facteur.cli('runs', 'cancel', id, '--by', 'ada');
    await expectRun(bench.db, id, 'canceled');
  });

  test('a workflow that is suspended as a whole', async () => {
    const { facteur, id, name } = await run('as-told', { run: '30s' });
    await expectRun(bench.db, id, 'running');
    await bench.argo('suspend', name);
    await facteur.cli('runs', 'cancel', id, '--by', 'ada');
    await expectRun(bench.db, id, 'canceled');
  });

  test('a workflow that a semaphore blocks: at once, and no step runs', async () => {
    const { holder, blocked } = await runsOfOneLock();
    await blocked.facteur.cli('runs', 'cancel', blocked.id, '--by', 'ada');
    await expectRun(bench.db, blocked.id, 'canceled');
    expect(await runOf(bench.db, holder.id)).toMatchObject({ state: 'running' });
    await holder.facteur.cli('runs', 'cancel', holder.id, '--by', 'ada');
    await expectRun(bench.db, holder.id, 'canceled');
    const selector = encodeURIComponent(`workflows.argoproj.io/workflow=${blocked.name}`);
    const pods = await bench.world.api.call(`/api/v1/namespaces/argo-workflows/pods?labelSelector=${selector}`);
    expect(pods.items).toEqual([]);
  });
});

describe('Argo’s own commands', () => {
  test('retry: the same run is live again and ends a second time', async () => {
    const { id, name } = await run('as-told', { 'fail-times': '1' });
    await expectRun(bench.db, id, 'failed');
    await bench.argo('retry', name);
    await expectRun(bench.db, id, 'succeeded');
    expect(await runOf(bench.db, id)).toMatchObject({ workflow_name: name, retry_count: 1 });
  });

  test('retry of a succeeded workflow: the same run is live again, and succeeds again', async () => {
    const { id, name } = await run('as-told');
    await expectRun(bench.db, id, 'succeeded');
    await bench.argo('restart', name);
    await expect.poll(() => runOf(bench.db, id)).toMatchObject({ state: 'succeeded', retry_count: 1 });
  });

  test('resubmit: the copy has our labels, and does not affect our run', async () => {
    const { id, name } = await run('as-told', { exit: '1' });
    const before = await expectRun(bench.db, id, 'failed');
    const copy = await bench.argo('resubmit', name);
    await expectPhase(bench, copy, 'Failed');
    expect(await bench.workflowsOf(id)).toHaveLength(2);
    // The same watch shows this run after the copy.
    const later = await run('as-told');
    await expectRun(bench.db, later.id, 'succeeded');
    expect(await runOf(bench.db, id)).toEqual(before);
  });

  test.each(['stop', 'terminate'])('%s: the run counts as canceled', async (verb) => {
    const { id, name } = await run('as-told', { run: '60s' });
    await expectRun(bench.db, id, 'running');
    await bench.argo(verb, name);
    await expectRun(bench.db, id, 'canceled');
  });

  test('terminate of a workflow that a semaphore blocks: canceled, although Argo calls it succeeded', async () => {
    const { holder, blocked } = await runsOfOneLock();
    await bench.argo('terminate', blocked.name);
    await expectRun(bench.db, blocked.id, 'canceled');
    expect((await bench.workflow(blocked.name)).status.phase).toBe('Succeeded');
    await holder.facteur.cli('runs', 'cancel', holder.id, '--by', 'ada');
    await expectRun(bench.db, holder.id, 'canceled');
  });

  test('resume: the run continues', async () => {
    const { id, name } = await run('suspended');
    await expectRun(bench.db, id, 'running');
    await bench.argo('resume', name);
    await expectRun(bench.db, id, 'succeeded');
  });

  test.each([
    ['resume', 'asks-for-an-hour', 'it was decided elsewhere'],
    ['clock', 'asks-briefly', 'its duration in Argo has elapsed'],
  ])('%s ends a step of %s: the approval has the reason', async (by, template, problem) => {
    const { id, name } = await run(template);
    const approval = async () => (await bench.db.query({ text: 'SELECT state, problem FROM facteur.approvals' })).rows;
    await expect.poll(approval).toHaveLength(1);
    if (by === 'resume') {
      await bench.argo('resume', name);
    }
    await expectRun(bench.db, id, 'succeeded');
    await expect.poll(approval).toEqual([{ state: 'gone', problem }]);
  });

  test('deletion of a running workflow: the run is lost', async () => {
    const { id, name } = await run('as-told', { run: '60s' });
    await expectRun(bench.db, id, 'running');
    await bench.remove(name);
    await expectRun(bench.db, id, 'lost');
  });
});
