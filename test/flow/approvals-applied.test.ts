import { describe, expect } from 'vitest';
import type { JsonObject } from '../../sandbox/cluster/objects.ts';
import { nodesIn } from '../../sandbox/cluster/workflow-status.ts';
import { ADA, approvalEventsOf, approvalOf, BOB, hurry, waiting, type Waiting } from '../support/approvals.ts';
import { NAMESPACE, type Json } from '../support/cluster.ts';
import { whispered } from '../support/discord-door.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { decideApproval } from '../../src/ledger/approvals.ts';
import { createAnnouncements } from '../../src/ledger/due-work.ts';
import { db, test } from '../support/ledger-fixture.ts';

describe('what the step asks for', () => {
  test('two opposite values become the two buttons: Reject sends one of them, and the workflow continues', async () => {
    const run = await waiting(db, { asks: [{ name: 'decision', enum: ['YES', 'NO'] }], rules: { reason: 'none' } });
    expect(whispered(await run.press('reject', ADA))).toContain('is rejected');
    await expect.poll(run.shown).toContain('Succeeded');
    expect(run.node('approve')).toMatchObject({ phase: 'Succeeded', outputs: { parameters: [{ value: 'NO' }] } });
    expect(run.node('deploy')).toMatchObject({ inputs: { parameters: [{ name: 'decision', value: 'NO' }] } });
  });

  test('other values become a form with menus and text fields', async () => {
    const asks = [
      { name: 'where', enum: ['blue', 'green'], default: 'green', description: 'x'.repeat(3000) },
      { name: 'note' },
    ];
    const run = await waiting(db, { asks });
    const form: Json = (await run.press('approve', ADA)).answer;
    expect(form.data.components.map(({ component }: Json) => component.type)).toEqual([3, 4]);
    const bad = await run.fillIn('approve', ADA, { 'output-0': ['red'], 'output-1': 'see {{workflow.name}}' });
    expect(whispered(bad)).toContain('where must be one of blue, green\nnote must not contain');
    expect(await approvalOf(db, run.runId)).toMatchObject({ state: 'waiting' });
    await run.fillIn('approve', ADA, { 'output-0': ['blue'], 'output-1': 'now' });
    await expect.poll(run.shown).toContain('Succeeded');
    expect(run.node('deploy').inputs.parameters).toEqual([
      { name: 'where', value: 'blue' },
      { name: 'note', value: 'now' },
    ]);
  });

  test('the second of two approvers sees the values of the first and cannot change them', async () => {
    const run = await waiting(db, { rules: { quorum: '2' }, asks: [{ name: 'version' }] });
    expect(whispered(await run.fillIn('approve', ADA, { 'output-0': 'v1' }))).toContain('One more person');
    const other = await run.fillIn('approve', BOB, { 'output-0': 'v2' });
    expect(whispered(other)).toContain('version has another value in an earlier approval');
    // Two forms that are sent at once are both validated before either is recorded.
    const decision = { runId: run.runId, key: run.key, verdict: 'approved', alone: false, reason: '' } as const;
    const late = { ...decision, actor: { id: BOB.id ?? '', name: 'bob' }, outputs: { version: 'v2' } };
    expect(await decideApproval(db, late)).toBeUndefined();
    const form: Json = (await run.press('approve', BOB)).answer;
    expect(form.data.components[0].component).toMatchObject({ value: 'v1' });
    expect(await approvalOf(db, run.runId)).toMatchObject({ state: 'waiting' });
    expect(whispered(await run.fillIn('approve', BOB, { 'output-0': 'v1' }))).toContain('is approved');
    await expect.poll(run.shown).toContain('Succeeded');
    expect(run.node('deploy').inputs.parameters).toEqual([{ name: 'version', value: 'v1' }]);
  });

  test.each<[string, readonly JsonObject[], number]>([
    ['26 values', [{ name: 'one', enum: Array.from({ length: 26 }, (_, index) => `v${index}`) }], 9],
    ['an empty list of values', [{ name: 'one', enum: [] }], 9],
    ['broken values', [{ name: 'one', value: '{"enum": [' }], 9],
    ['duplicate and empty values', [{ name: 'one', enum: ['a', 'a', ''] }], 9],
    ['a default of 5,000 characters', [{ name: 'one', default: 'x'.repeat(5000) }], 9],
    ['six outputs', Array.from({ length: 6 }, (_, index) => ({ name: `p${index}` })), 4],
  ])('%s: Discord accepts the answer', async (_what, asks, type) => {
    const run = await waiting(db, { asks });
    const exchange = await run.press('approve', ADA);
    expect(exchange).toMatchObject({ outcome: 'acknowledged', answer: { type } });
  });
});

describe('applying a decision', () => {
  test.each(['gzip', 'zstd', 'brotli'] as const)('nodes compressed with %s: no step runs twice', async (nodes) => {
    const run = await waiting(db, { plan: { nodes }, asks: [{ name: 'decision', enum: ['YES', 'NO'] }] });
    await run.press('approve', ADA);
    await expect.poll(run.shown).toContain('Succeeded');
    expect(run.facteur.cluster.controller.completionsOf(NAMESPACE, run.workflow)).toEqual([
      'build',
      'approve',
      'deploy',
    ]);
  });

  test('is retried until the cluster accepts it, and meanwhile the message shows the reason', async () => {
    const run = await waiting(db);
    const rule = run.facteur.cluster.faults.apply({
      op: 'add',
      rule: {
        match: { verb: 'patch' },
        action: { kind: 'answer', answer: { status: 403, reason: 'Forbidden', message: 'may not patch' } },
      },
    });
    await run.press('approve', ADA);
    await expect.poll(run.shown).toContain('has not accepted it yet; facteur keeps trying: `may not patch`');
    run.facteur.cluster.faults.apply({ op: 'remove', id: Number(rule['id']) });
    await hurry(db);
    await expect.poll(run.shown).toContain('Succeeded');
    expect(run.shown()).toContain('👍 `approve` approved by `ada`');
  });

  test('happens once even if the response was lost', async () => {
    const run = await waiting(db);
    const rule = { match: { verb: 'patch' }, action: { kind: 'commit-then-reset' }, times: 1 } as const;
    run.facteur.cluster.faults.apply({ op: 'add', rule });
    await run.press('approve', ADA);
    await hurry(db);
    await expect.poll(run.shown).toContain('Succeeded');
    await expect.poll(() => approvalOf(db, run.runId)).toMatchObject({ state: 'approved' });
  });

  test('a step that was decided in Argo is shown as decided elsewhere', async () => {
    const run = await waiting(db);
    const button = run.message();
    resume(run);
    await expect.poll(run.shown).toContain('Succeeded');
    await expect
      .poll(() => approvalOf(db, run.runId))
      .toMatchObject({ state: 'gone', problem: 'it was decided elsewhere' });
    const late = await run.discord.people.press(button, `facteur:approve:${run.runId}:${run.key}`, ADA);
    expect(whispered(late)).toBe('Step `approve` no longer waits: it was decided elsewhere.');
  });

  test.each([
    ['1h', 60, 'its duration in Argo has elapsed'],
    ['3600', 60, 'its duration in Argo has elapsed'],
    ['1h', 59, 'it was decided elsewhere'],
    ['{{workflow.parameters.wait}}', 60, 'it was decided elsewhere, or its duration in Argo has elapsed'],
  ])(
    'a step with a duration of %s that continued after %i minutes has the reason recorded',
    async (duration, minutes, problem) => {
      const run = await waiting(db, { suspend: { duration }, rules: { reason: 'none' } });
      resume(run, minutes * 60_000);
      await expect.poll(run.shown).toContain('Succeeded');
      await expect.poll(() => approvalOf(db, run.runId)).toMatchObject({ state: 'gone', problem });
    },
  );

  test('a decision that comes after the duration has no effect, and the reason is recorded', async () => {
    const run = await waiting(db, { suspend: { duration: '1h' }, rules: { reason: 'none' } });
    const rule = { match: { verb: 'patch' }, action: { kind: 'answer', answer: { status: 503 } } } as const;
    const { id } = run.facteur.cluster.faults.apply({ op: 'add', rule });
    await run.press('approve', ADA);
    await expect.poll(run.shown).toContain('facteur keeps trying');
    resume(run, 3_600_000);
    run.facteur.cluster.faults.apply({ op: 'remove', id: Number(id) });
    await hurry(db);
    await expect
      .poll(() => approvalOf(db, run.runId))
      .toMatchObject({ state: 'gone', verdict: 'approved', problem: 'its duration in Argo has elapsed' });
  });

  test('a step that nobody decided before the workflow failed no longer waits', async () => {
    const run = await waiting(db);
    const button = run.message();
    fail(run);
    await expect
      .poll(() => approvalOf(db, run.runId))
      .toMatchObject({ state: 'gone', problem: 'the workflow has ended' });
    const late = await run.discord.people.press(button, `facteur:approve:${run.runId}:${run.key}`, ADA);
    expect(whispered(late)).toBe('Step `approve` no longer waits: the workflow has ended.');
  });

  test('a step no longer waits once its workflow is being stopped in Argo', async () => {
    const run = await waiting(db);
    const { store } = run.facteur.cluster;
    store.update('workflows', store.get('workflows', NAMESPACE, run.workflow), 'state', (object) => ({
      ...object,
      spec: { ...object.spec, shutdown: 'Stop' },
    }));
    await expect
      .poll(() => approvalOf(db, run.runId))
      .toMatchObject({ state: 'gone', problem: 'the workflow is ending' });
  });

  test('a decision that comes after the workflow failed has no effect, and the reason is recorded', async () => {
    const run = await waiting(db);
    const rule = { match: { verb: 'patch' }, action: { kind: 'answer', answer: { status: 503 } } } as const;
    const { id } = run.facteur.cluster.faults.apply({ op: 'add', rule });
    await run.press('approve', ADA);
    await expect.poll(run.shown).toContain('facteur keeps trying');
    fail(run);
    run.facteur.cluster.faults.apply({ op: 'remove', id: Number(id) });
    await hurry(db);
    await expect
      .poll(() => approvalOf(db, run.runId))
      .toMatchObject({ state: 'gone', verdict: 'approved', problem: 'the workflow has ended' });
  });
});

/** Fails the workflow as its deadline would. */
function fail(run: Waiting): void {
  const { store } = run.facteur.cluster;
  const entry = store.get('workflows', NAMESPACE, run.workflow);
  const { id } = run.node('approve');
  store.update('workflows', entry, 'state', (object) => {
    const nodes = nodesIn(object.status ?? {});
    const node = { ...nodes[id], phase: 'Failed', message: 'Step exceeded its deadline' };
    return { ...object, status: { ...object.status, phase: 'Failed', nodes: { ...nodes, [id]: node } } };
  });
}

/** Resumes the step, this long after its start: as `argo resume` does, and Argo itself after the duration. */
function resume(run: Waiting, afterMs = 0): void {
  const { store } = run.facteur.cluster;
  const entry = store.get('workflows', NAMESPACE, run.workflow);
  const { id } = run.node('approve');
  store.update('workflows', entry, 'patch', (object) => {
    const nodes = nodesIn(object.status ?? {});
    const finishedAt = new Date(Date.parse(run.node('approve').startedAt) + afterMs).toISOString();
    const node = { ...nodes[id], phase: 'Succeeded', finishedAt };
    return { ...object, status: { ...object.status, nodes: { ...nodes, [id]: node } } };
  });
}

describe('a deadline', () => {
  test.each([
    ['rejects', {}, 'Failed', 'approve: rejected by facteur (timeout): timed out'],
    [
      'approves',
      { 'on-timeout': 'approve' },
      'Succeeded',
      '⌛ `approve` approved automatically: nobody decided in time',
    ],
  ])('%s', async (_what, rules, state, says) => {
    const run = await waiting(db, { rules: { 'approval-timeout': '2h', ...rules } });
    expect(run.shown()).toMatch(/expires <t:\d+:R>/);
    await hurry(db);
    await expect.poll(run.shown).toContain(state);
    expect(run.shown()).toContain(says);
    expect(await approvalEventsOf(db, run.runId)).toEqual([
      'approval.requested facteur',
      'approval.expired facteur (timeout)',
      'approval.applied facteur',
    ]);
  });

  test.each([
    ['ahead', 60_000],
    ['behind', -60_000],
  ])('uses the clock of the database, even if that of the process is a minute %s', async (_how, offMs) => {
    const clock = { now: () => new Date(Date.now() + offMs) };
    const run = await waiting(db, { rules: { 'approval-timeout': '2h' }, context: { clock } });
    const { requested_at: requestedAt, expires_at: expiresAt } = await approvalOf(db, run.runId);
    expect(expiresAt - requestedAt).toBe(2 * 3_600_000);
    let looks = 0;
    run.facteur.faults.after = (statement) => {
      looks += statement === 'claim-due-decisions' ? 1 : 0;
    };
    await expireIn(30);
    await expect.poll(() => looks).toBeGreaterThan(0);
    const { rows } = await db.query({
      text: `SELECT FROM facteur.approvals WHERE state <> 'waiting' AND expires_at > now()`,
    });
    expect(rows).toEqual([]);
    await expireIn(0);
    await expect.poll(() => approvalOf(db, run.runId)).toMatchObject({ state: 'rejected' });
    const { decided_at: decidedAt, expires_at: due } = await approvalOf(db, run.runId);
    expect(decidedAt.getTime()).toBeGreaterThanOrEqual(due.getTime());
  });

  test('that leaves the decision to people decides nothing', async () => {
    const run = await waiting(db, { rules: { 'approval-timeout': '2h', 'on-timeout': 'leave' } });
    expect(await approvalOf(db, run.runId)).toMatchObject({ due_at: null });
    expect(run.shown()).toMatch(/expires <t:\d+:R>/);
  });
});

/** Moves the deadline to this many seconds from now. */
async function expireIn(seconds: number): Promise<void> {
  await db.query({
    text: 'UPDATE facteur.approvals SET expires_at = now() + make_interval(secs => $1), due_at = now() + make_interval(secs => $1)',
    values: [seconds],
  });
  await createAnnouncements(db, silentLogger).approvalsDue();
}
