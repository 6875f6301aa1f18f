import { describe, expect } from 'vitest';
import type { Who } from '../../sandbox/discord/people.ts';
import { callApi } from '../support/api.ts';
import { ADA, approvalEventsOf, approvalOf, BOB, EVE, STARTER, waiting, type Gate } from '../support/approvals.ts';
import type { Json } from '../support/cluster.ts';
import { OTHER_ROLE, ROLE, whispered } from '../support/discord-door.ts';
import { expectRun } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { startTestTelemetry } from '../support/telemetry.ts';

/** The id of the server, which is also the id of its role @everyone. */
const GUILD = '300000000000000001';

async function refusals(): Promise<readonly string[]> {
  const { rows } = await db.query<{ reason: string }>({ text: 'SELECT reason FROM facteur.refusals ORDER BY id' });
  return rows.map(({ reason }) => reason);
}

describe('Approve', () => {
  test('resumes the workflow, confirms it, and leaves an audit trail', async () => {
    const run = await waiting(db);
    expect(whispered(await run.press('approve', ADA))).toBe(
      'Step `approve` is approved. facteur is writing it into the workflow.',
    );
    await expect.poll(run.shown).toContain('Succeeded');
    expect(run.shown()).toContain('👍 `approve` approved by `ada`');
    expect(run.node('approve')).toMatchObject({ phase: 'Succeeded', message: 'approved by ada' });
    expect(await approvalOf(db, run.runId)).toMatchObject({ state: 'approved', decided_by: 'ada', attempts: 1 });
    expect(await approvalEventsOf(db, run.runId)).toEqual([
      'approval.requested facteur',
      'approval.decided ada',
      'approval.applied facteur',
    ]);
  });

  test('is final: the answer to a later decision says who was first', async () => {
    const run = await waiting(db);
    const button = run.message();
    await run.press('approve', ADA);
    const late = await run.discord.people.press(button, `facteur:reject:${run.runId}:${run.key}`, BOB);
    expect(whispered(late)).toMatch(/^Step `approve` was already approved by `ada` <t:\d+:R>\.$/);
    await expect.poll(run.shown).toContain('Succeeded');
  });

  test('needs as many people as the template requires', async () => {
    const run = await waiting(db, { rules: { quorum: '2' } });
    const button = run.message();
    expect(whispered(await run.press('approve', ADA))).toContain('One more person has to approve it.');
    await expect.poll(run.shown).toContain('1 of 2 approvals (`ada`)');
    expect(whispered(await run.press('approve', ADA))).toContain('One more person has to approve it.');
    expect(await approvalOf(db, run.runId)).toMatchObject({ state: 'waiting' });
    expect(whispered(await run.press('approve', BOB))).toContain('is approved');
    const late = await run.discord.people.press(button, `facteur:reject:${run.runId}:${run.key}`, ADA);
    expect(whispered(late)).toContain('was already approved by `ada`, `bob`');
    const inVain = await callApi(run.facteur.url, `POST /v1/runs/${run.runId}/approvals/${run.key}/reject`, {
      body: {},
    });
    expect(inVain).toMatchObject({ status: 409, body: { detail: expect.stringContaining('by ada, bob at') } });
    await expect.poll(run.shown).toContain('Succeeded');
    expect(await approvalEventsOf(db, run.runId)).toEqual([
      'approval.requested facteur',
      'approval.voted ada',
      'approval.decided bob',
      'approval.applied facteur',
    ]);
  });
});

test('a default that is too long for a form becomes a required field, not an empty output', async () => {
  const run = await waiting(db, { asks: [{ name: 'notes', default: 'x'.repeat(4001) }] });
  const { data }: Json = (await run.press('approve', ADA)).answer;
  expect(data.components[0].component).toMatchObject({ custom_id: 'output-0', required: true });
});

describe('Reject', () => {
  test('asks for the reason, and fails the workflow with it', async () => {
    const run = await waiting(db, { rules: { reason: 'required' } });
    const form: Json = (await run.press('reject', ADA)).answer;
    expect(form).toMatchObject({ type: 9, data: { title: 'Reject approve' } });
    expect(whispered(await run.fillIn('reject', ADA, { reason: ' ' }))).toContain('reason is required');
    expect(whispered(await run.fillIn('reject', ADA, { reason: 'not\ntoday' }))).toContain('is rejected');
    await expect.poll(run.shown).toContain('approve: rejected by ada: not today');
    expect(await approvalOf(db, run.runId)).toMatchObject({ state: 'rejected', reason: 'not today' });
    await expectRun(db, (await runRow(run.runId)).delivery_id, 'failed');
  });

  test('breaks up a template tag in the reason: an exit handler would evaluate it', async () => {
    const run = await waiting(db);
    await run.fillIn('reject', ADA, { reason: '{{=sprig.env("HOME")}}' });
    await expect.poll(() => run.node('approve').phase).toBe('Failed');
    expect(run.node('approve').message).toBe('rejected by ada: { {=sprig.env("HOME")}}');
    await expect.poll(() => approvalOf(db, run.runId)).toMatchObject({ state: 'rejected' });
  });

  test('asks for no reason if the template wants none', async () => {
    const run = await waiting(db, { rules: { reason: 'none' } });
    expect(whispered(await run.press('reject', ADA))).toContain('is rejected');
    await expect.poll(run.shown).toContain('Failed');
  });
});

async function runRow(runId: string): Promise<Json> {
  return (await db.query({ text: 'SELECT * FROM facteur.runs WHERE run_id = $1', values: [runId] })).rows[0];
}

describe('who may decide', () => {
  test('is not the requester of the run', async () => {
    const run = await waiting(db);
    expect(whispered(await run.press('approve', STARTER))).toContain('somebody else has to decide');
    expect(await refusals()).toEqual(['may not decide approve: requested this run, or one that it retries']);
    expect(await approvalOf(db, run.runId)).toMatchObject({ state: 'waiting' });
  });

  test('is the requester, if the template says so', async () => {
    const run = await waiting(db, { rules: { 'self-approval': 'true' } });
    expect(whispered(await run.press('approve', STARTER))).toContain('is approved');
  });

  test('is neither the person who pressed Retry nor the requester of the first run', async () => {
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
    ['an application, whatever its roles', {}, { ...ADA, bot: true }, 'Applications cannot decide approvals.'],
    ['anybody, if nobody is named', { yaml: 'role_map: {}\n' }, ADA, 'Nobody can decide this here'],
    ['anybody, if only the server is named', { rules: { approvers: GUILD } }, ADA, 'Nobody can decide this here'],
    [
      'a role of the command, if the template names others',
      { rules: { approvers: OTHER_ROLE } },
      ADA,
      'requires a role',
    ],
  ])('is not %s', async (_who, gate, who, answer) => {
    const run = await waiting(db, gate);
    expect(whispered(await run.press('approve', who))).toContain(answer);
    expect(await refusals()).toHaveLength(1);
    expect(await approvalOf(db, run.runId)).toMatchObject({ state: 'waiting' });
  });

  test('is nobody in Discord, if an annotation is invalid', async () => {
    const run = await waiting(db, { rules: { quorum: 'two' } });
    expect(run.shown()).toContain('annotations of its template are invalid: only `facteur approvals` can decide it');
    await expect(async () => run.press('approve', ADA)).rejects.toThrow('has no button');
  });

  test.each<[string, Gate, number]>([
    ['somebody may decide', {}, 0],
    ['nobody is named', { yaml: 'role_map: {}\n' }, 1],
    ['only the server is named', { rules: { approvers: GUILD } }, 1],
    ['an annotation is invalid', { rules: { quorum: 'two' } }, 1],
  ])('is counted as undecidable or not: %s', async (_who, gate, count) => {
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

test('/status shows that a run waits for approval', async () => {
  const run = await waiting(db);
  const status = async () => whispered(await run.discord.people.command('status', [], STARTER));
  expect(await status()).toMatch(/Running(?: `\S+`)?, waiting for approval · `\/plan x`/);
  await run.press('approve', ADA);
  await expect.poll(run.shown).toContain('Succeeded');
  expect(await status()).not.toContain('waiting for approval');
});
