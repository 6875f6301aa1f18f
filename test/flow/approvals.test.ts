import { describe, expect } from 'vitest';
import type { JsonObject } from '../../sandbox/cluster/objects.ts';
import { nodesIn } from '../../sandbox/cluster/workflow-status.ts';
import type { Who } from '../../sandbox/discord/people.ts';
import { ADA, approvalOf, BOB, EVE, hurry, STARTER, waiting, type Gate, type Waiting } from '../support/approvals.ts';
import { NAMESPACE, type Json } from '../support/cluster.ts';
import { OTHER_ROLE, ROLE, whispered } from '../support/discord-door.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { decideApproval } from '../../src/ledger/approvals.ts';
import { createAnnouncements } from '../../src/ledger/due-work.ts';
import { expectRun } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { startTestTelemetry } from '../support/telemetry.ts';

async function eventsOf(runId: string): Promise<readonly string[]> {
  const { rows } = await db.query<{ event: string; actor: string }>({
    text: `SELECT event_type AS event, actor FROM codex_kb.run_events
      WHERE task_run_id = $1 AND event_type LIKE 'approval.%' ORDER BY id`,
    values: [runId],
  });
  return rows.map(({ event, actor }) => `${event} ${actor}`);
}

async function refusals(): Promise<readonly string[]> {
  const { rows } = await db.query<{ reason: string }>({ text: 'SELECT reason FROM facteur.refusals ORDER BY id' });
  return rows.map(({ reason }) => reason);
}

describe('Approve', () => {
  test('lets the workflow go on, says so, and leaves an audit', async () => {
    const run = await waiting(db);
    expect(whispered(await run.press('approve', ADA))).toBe(
      'Step `approve` is approved. facteur is writing it into the workflow.',
    );
    await expect.poll(run.shown).toContain('Succeeded');
    expect(run.shown()).toContain('👍 `approve` approved by `ada`');
    expect(run.node('approve')).toMatchObject({ phase: 'Succeeded', message: 'approved by ada' });
    expect(await approvalOf(db, run.runId)).toMatchObject({ state: 'approved', decided_by: 'ada', attempts: 1 });
    expect(await eventsOf(run.runId)).toEqual([
      'approval.requested facteur',
      'approval.decided ada',
      'approval.applied facteur',
    ]);
  });

  test('by a second person comes too late, and tells who was first', async () => {
    const run = await waiting(db);
    const button = run.message();
    await run.press('approve', ADA);
    const late = await run.discord.people.press(button, `facteur:reject:${run.runId}:${run.key}`, BOB);
    expect(whispered(late)).toMatch(/^Step `approve` was already approved by `ada` <t:\d+:R>\.$/);
    await expect.poll(run.shown).toContain('Succeeded');
  });

  test('needs as many people as the template says', async () => {
    const run = await waiting(db, { rules: { quorum: '2' } });
    expect(whispered(await run.press('approve', ADA))).toContain('One more person has to approve it.');
    await expect.poll(run.shown).toContain('1 of 2 approvals (`ada`)');
    expect(whispered(await run.press('approve', ADA))).toContain('One more person has to approve it.');
    expect(await approvalOf(db, run.runId)).toMatchObject({ state: 'waiting' });
    expect(whispered(await run.press('approve', BOB))).toContain('is approved');
    await expect.poll(run.shown).toContain('Succeeded');
  });
});

describe('Reject', () => {
  test('asks for the reason, and ends the workflow with it', async () => {
    const run = await waiting(db, { rules: { reason: 'required' } });
    const form: Json = (await run.press('reject', ADA)).answer;
    expect(form).toMatchObject({ type: 9, data: { title: 'Reject approve' } });
    expect(whispered(await run.fillIn('reject', ADA, { reason: ' ' }))).toContain('reason is required');
    expect(whispered(await run.fillIn('reject', ADA, { reason: 'not\ntoday' }))).toContain('is rejected');
    await expect.poll(run.shown).toContain('approve: rejected by ada: not today');
    expect(await approvalOf(db, run.runId)).toMatchObject({ state: 'rejected', reason: 'not today' });
    await expectRun(db, (await runRow(run.runId)).delivery_id, 'failed');
  });

  test('with a reason that is a template tag puts none into the workflow, where an exit handler would evaluate it', async () => {
    const run = await waiting(db);
    await run.fillIn('reject', ADA, { reason: '{{=sprig.env("HOME")}}' });
    await expect.poll(() => run.node('approve').phase).toBe('Failed');
    expect(run.node('approve').message).toBe('rejected by ada: { {=sprig.env("HOME")}}');
    await expect.poll(() => approvalOf(db, run.runId)).toMatchObject({ state: 'rejected' });
  });

  test('does not ask where the template wants no reason', async () => {
    const run = await waiting(db, { rules: { reason: 'none' } });
    expect(whispered(await run.press('reject', ADA))).toContain('is rejected');
    await expect.poll(run.shown).toContain('Failed');
  });
});

async function runRow(runId: string): Promise<Json> {
  return (await db.query({ text: 'SELECT * FROM facteur.runs WHERE run_id = $1', values: [runId] })).rows[0];
}

describe('who may decide', () => {
  test('is not who requested the run', async () => {
    const run = await waiting(db);
    expect(whispered(await run.press('approve', STARTER))).toContain('somebody else has to decide');
    expect(await refusals()).toEqual(['may not decide approve: starter']);
    expect(await approvalOf(db, run.runId)).toMatchObject({ state: 'waiting' });
  });

  test('is who requested it, where the template says so', async () => {
    const run = await waiting(db, { rules: { 'self-approval': 'true' } });
    expect(whispered(await run.press('approve', STARTER))).toContain('is approved');
  });

  test('is neither who pressed Retry, nor who requested the first run', async () => {
    const run = await waiting(db, { rules: { reason: 'none' } });
    await run.press('reject', ADA);
    await expect.poll(run.shown).toContain('Failed');
    await run.discord.people.press(run.message(), `facteur:retry:${run.runId}`, BOB);
    const again = await expectRun(db, `retry:${run.runId}`, 'running');
    await expect.poll(() => approvalOf(db, again.run_id)).toMatchObject({ state: 'waiting' });
    const id = `facteur:approve:${again.run_id}:${(await approvalOf(db, again.run_id)).key}`;
    const message = () =>
      run.discord.messages().find(({ versions }) => versions.at(-1)?.content.includes('is waiting for'))!;
    await expect.poll(message).toBeDefined();
    for (const starter of [STARTER, BOB]) {
      expect(whispered(await run.discord.people.press(message(), id, starter))).toContain(
        'somebody else has to decide',
      );
    }
    expect(whispered(await run.discord.people.press(message(), id, ADA))).toContain('is approved');
  });

  test.each<[string, Gate, Who, string]>([
    ['somebody without the role', {}, EVE, 'requires a role that you do not have'],
    ['somebody who lost the role since the message', {}, { ...ADA, roles: [] }, 'requires a role that you do not have'],
    ['somebody in a direct message', {}, { ...ADA, roles: [], guildId: '' }, 'requires a role that you do not have'],
    ['anybody, where nobody is named', { yaml: 'role_map: {}\n' }, ADA, 'Nobody can decide this here'],
    [
      'anybody, where an annotation is invalid',
      { rules: { quorum: 'two' } },
      ADA,
      'the annotations of its template are invalid',
    ],
    ['a role of the command, where others are named', { rules: { approvers: OTHER_ROLE } }, ADA, 'requires a role'],
  ])('is not %s', async (_who, gate, who, answer) => {
    const run = await waiting(db, gate);
    expect(whispered(await run.press('approve', who))).toContain(answer);
    expect(await refusals()).toHaveLength(1);
    expect(await approvalOf(db, run.runId)).toMatchObject({ state: 'waiting' });
  });

  test.each<[string, Gate, number]>([
    ['somebody may', {}, 0],
    ['nobody is named', { yaml: 'role_map: {}\n' }, 1],
    ['an annotation is invalid', { rules: { quorum: 'two' } }, 1],
  ])('counts as waiting for nobody, or not: %s', async (_who, gate, count) => {
    const { scrape } = await startTestTelemetry();
    await waiting(db, gate);
    expect((await scrape()).split('\n')).toContain(`facteur_approvals_undecidable ${count}`);
  });

  test.each<[string, string, Who]>([
    ['a role', OTHER_ROLE, EVE],
    ['a person', 'user:200000000000000004', EVE],
    ['a command of the role map', 'release', EVE],
  ])('can be %s that the template names', async (_what, approvers, who) => {
    const yaml = `role_map:\n  plan: ['${ROLE}']\n  release: ['${OTHER_ROLE}']\n`;
    const run = await waiting(db, { rules: { approvers }, yaml });
    expect(whispered(await run.press('approve', who))).toContain('is approved');
  });
});

describe('what the step asks for', () => {
  test('two opposite values are the two buttons, and both let the workflow go on', async () => {
    const run = await waiting(db, { asks: [{ name: 'decision', enum: ['YES', 'NO'] }], rules: { reason: 'none' } });
    expect(whispered(await run.press('reject', ADA))).toContain('is rejected');
    await expect.poll(run.shown).toContain('Succeeded');
    expect(run.node('approve')).toMatchObject({ phase: 'Succeeded', outputs: { parameters: [{ value: 'NO' }] } });
    expect(run.node('deploy')).toMatchObject({ inputs: { parameters: [{ name: 'decision', value: 'NO' }] } });
  });

  test('other values are a form, with menus and text', async () => {
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

  test('of two people who approve, the second one sees the values of the first, and approves these or none', async () => {
    const run = await waiting(db, { rules: { quorum: '2' }, asks: [{ name: 'version' }] });
    expect(whispered(await run.fillIn('approve', ADA, { 'output-0': 'v1' }))).toContain('One more person');
    const other = await run.fillIn('approve', BOB, { 'output-0': 'v2' });
    expect(whispered(other)).toContain('version has another value in an earlier approval');
    // Two forms that are sent at once are judged before either is recorded.
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
  ])('%s: Discord takes the answer', async (_what, asks, type) => {
    const run = await waiting(db, { asks });
    const exchange = await run.press('approve', ADA);
    expect(exchange).toMatchObject({ outcome: 'acknowledged', answer: { type } });
  });
});

describe('applying', () => {
  test.each(['gzip', 'zstd', 'brotli'] as const)('nodes packed with %s: no step runs twice', async (nodes) => {
    const run = await waiting(db, { plan: { nodes }, asks: [{ name: 'decision', enum: ['YES', 'NO'] }] });
    await run.press('approve', ADA);
    await expect.poll(run.shown).toContain('Succeeded');
    expect(run.facteur.cluster.controller.completionsOf(NAMESPACE, run.workflow)).toEqual([
      'build',
      'approve',
      'deploy',
    ]);
  });

  test('goes on when the cluster is back, and the message tells', async () => {
    const run = await waiting(db);
    const rule = run.facteur.cluster.faults.apply({
      op: 'add',
      rule: { match: { verb: 'patch' }, action: { kind: 'answer', answer: { status: 503 } } },
    });
    await run.press('approve', ADA);
    await expect.poll(run.shown).toContain('facteur keeps trying');
    run.facteur.cluster.faults.apply({ op: 'remove', id: Number(rule['id']) });
    await hurry(db);
    await expect.poll(run.shown).toContain('Succeeded');
    expect(run.shown()).toContain('👍 `approve` approved by `ada`');
  });

  test('is done once, although the answer was lost', async () => {
    const run = await waiting(db);
    const rule = { match: { verb: 'patch' }, action: { kind: 'commit-then-reset' }, times: 1 } as const;
    run.facteur.cluster.faults.apply({ op: 'add', rule });
    await run.press('approve', ADA);
    await hurry(db);
    await expect.poll(run.shown).toContain('Succeeded');
    await expect.poll(() => approvalOf(db, run.runId)).toMatchObject({ state: 'approved' });
  });

  test('what was decided in Argo meanwhile is told as such', async () => {
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
});

/** As `argo resume` does. */
function resume(run: Waiting): void {
  const { store } = run.facteur.cluster;
  const entry = store.get('workflows', NAMESPACE, run.workflow);
  const { id } = run.node('approve');
  store.update('workflows', entry, 'patch', (object) => {
    const nodes = nodesIn(object.status ?? {});
    const node = { ...nodes[id], phase: 'Succeeded', finishedAt: '2026-01-01T00:00:00Z' };
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
    expect(await eventsOf(run.runId)).toEqual([
      'approval.requested facteur',
      'approval.expired facteur (timeout)',
      'approval.applied facteur',
    ]);
  });

  test.each([
    ['ahead', 60_000],
    ['behind', -60_000],
  ])('goes by the database, in a process whose clock is a minute %s', async (_how, offMs) => {
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

  test('that leaves the decision to people has no effect of its own', async () => {
    const run = await waiting(db, { rules: { 'approval-timeout': '2h', 'on-timeout': 'leave' } });
    expect(await approvalOf(db, run.runId)).toMatchObject({ due_at: null });
    expect(run.shown()).toMatch(/expires <t:\d+:R>/);
  });
});

/** As if the deadline were so many seconds away. */
async function expireIn(seconds: number): Promise<void> {
  await db.query({
    text: 'UPDATE facteur.approvals SET expires_at = now() + make_interval(secs => $1), due_at = now() + make_interval(secs => $1)',
    values: [seconds],
  });
  await createAnnouncements(db, silentLogger).approvalsDue();
}

test('/status says which run waits', async () => {
  const run = await waiting(db);
  const status = async () => whispered(await run.discord.people.command('status', [], STARTER));
  expect(await status()).toMatch(/Running(?: `\S+`)?, waiting for approval · `\/plan x`/);
  await run.press('approve', ADA);
  await expect.poll(run.shown).toContain('Succeeded');
  expect(await status()).not.toContain('waiting for approval');
});
