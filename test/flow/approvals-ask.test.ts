import { describe, expect } from 'vitest';
import type { SimulatedMessage } from '../../sandbox/discord/message.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { pressApproval } from '../../src/dispatch/decide.ts';
import { claimDueAsks, releaseAsk, type ClaimedAsk } from '../../src/ledger/approval-asks.ts';
import { recordWaiting } from '../../src/ledger/approvals.ts';
import { createAnnouncements } from '../../src/ledger/due-work.ts';
import { recordRun } from '../../src/ledger/record-run.ts';
import {
  ADA,
  approvalOf,
  askedRun,
  openApproval,
  startGatedCluster,
  STARTER,
  waiting,
  type Waiting,
} from '../support/approvals.ts';
import { NAMESPACE, startCluster } from '../support/cluster.ts';
import { discordEnv, openDiscordDoor, OTHER_ROLE, ROLE, whispered } from '../support/discord-door.ts';
import { startFacteur } from '../support/facteur.ts';
import { expectRun } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { newRun } from '../support/runs.ts';
import { applyTemplate } from '../support/templates.ts';

/** The messages that ask for approval, as opposed to those of the runs. */
function asks({ discord }: Pick<Waiting, 'discord'>): readonly SimulatedMessage[] {
  return discord.messages().filter(({ nonce }) => nonce.startsWith('ask'));
}

function pings(message: SimulatedMessage): readonly (readonly string[])[] {
  return message.versions.map(({ pings: pinged }) => pinged);
}

test('approvers are pinged once, in a separate message with the buttons that later shows who decided', async () => {
  const run = await waiting(db, { rules: { 'approval-message': 'Deploy @everyone?', 'approval-timeout': '2h' } });
  await expect.poll(() => asks(run)).toHaveLength(1);
  const [ask] = asks(run) as [SimulatedMessage];
  expect(ask.versions.at(-1)?.content).toMatch(
    new RegExp(
      `^<@&${ROLE}>\\n⏸️ \`approve\` is waiting for approval · \`/plan\` · for <@200000000000000001> · expires <t:\\d+:R>\\n\`Deploy @everyone\\?\`$`,
    ),
  );
  expect(pings(ask)).toEqual([[`<@&${ROLE}>`]]);
  const pressed = await run.discord.people.press(ask, `facteur:approve:${run.runId}:${run.key}`, ADA);
  expect(whispered(pressed)).toContain('is approved');
  const shown = () => asks(run)[0]?.versions.at(-1);
  await expect.poll(() => shown()?.content).toBe('👍 `approve` approved by `ada`');
  expect(shown()?.components).toEqual([]);
  await expect.poll(run.shown).toContain('Succeeded');
  expect(asks(run)).toHaveLength(1);
  expect(asks(run).flatMap(pings)).toEqual([[`<@&${ROLE}>`], []]);
  expect(pings(run.message()).flat()).toEqual([]);
});

test('the template can name the channel, and a person', async () => {
  const channel = '400000000000000009';
  const run = await waiting(db, {
    channels: [channel],
    rules: { channel, approvers: `user:200000000000000002, ${OTHER_ROLE}` },
  });
  await expect.poll(() => asks(run)).toHaveLength(1);
  expect(asks(run)[0]).toMatchObject({ channelId: channel });
  expect(asks(run).flatMap(pings)).toEqual([['<@200000000000000002>', `<@&${OTHER_ROLE}>`]]);
});

test('an ephemeral run asks nobody if the template names no channel', async () => {
  const plan = '{ description: Plan, ephemeral: true, options: [{ name: objective, description: What }] }';
  const yaml = `role_map: { plan: ['${ROLE}'] }\ncommands: { plan: ${plan} }\n`;
  const run = await waiting(db, { yaml });
  expect(await approvalOf(db, run.runId)).toMatchObject({ ask_channel: '', ask_at: null, ask_claims: 0 });
  expect(asks(run)).toEqual([]);
});

test('nobody is asked if nobody may decide', async () => {
  const run = await waiting(db, { yaml: 'role_map: {}\n' });
  await expect
    .poll(async () => (await db.query({ text: 'SELECT FROM facteur.approvals WHERE ask_at IS NULL' })).rows)
    .toHaveLength(1);
  expect(asks(run)).toEqual([]);
});

test('a quiet message shows a step that waits for approval, too', async () => {
  const yaml = `role_map: { plan: ['${ROLE}'] }
commands: { plan: { description: Plan, quiet: true, options: [{ name: objective, description: Goal }] } }
`;
  const run = await waiting(db, { yaml });
  expect(run.shown()).toContain('**Waiting for approval**');
  await run.press('approve', ADA);
  await expect.poll(run.shown).toContain('Succeeded');
});

/** A complete facteur with a command that needs approval. Nothing has run yet. */
async function openGatedDoor() {
  const cluster = await startGatedCluster();
  const door = await openDiscordDoor({
    db,
    cluster,
    yaml: `role_map: { plan: ['${ROLE}'] }`,
    roles: ['http', 'submit', 'follow', 'notify'],
  });
  return { cluster, door };
}

/** Makes the asks that wait for a retry due now. */
async function hurryAsks(): Promise<void> {
  await db.query({ text: 'UPDATE facteur.approvals SET ask_at = now() WHERE ask_at IS NOT NULL' });
  await createAnnouncements(db, silentLogger).approvalsDue();
}

test.each([
  ['401', { status: 401, code: 0, message: '401: Unauthorized' }],
  ['403', { status: 403, code: 50_013, message: 'Missing Permissions' }],
] as const)('a %s is retried later: a person can fix its cause', async (status, answer) => {
  const { cluster, door } = await openGatedDoor();
  const rule = { route: 'channel.message.create', times: 1, action: { kind: 'answer', answer } } as const;
  await door.discord.faults.apply({ op: 'add', rule });
  const { runId } = await askedRun({ db, cluster, discord: door.discord });
  const failed = () => door.facteur.log.filter((line) => line.includes('could not ask for an approval'));
  await expect.poll(failed).toHaveLength(1);
  expect(JSON.parse(failed()[0] ?? '').retryInMs).toBeGreaterThanOrEqual(30_000);
  await expect.poll(async () => Number((await approvalOf(db, runId)).ask_at) - Date.now()).toBeGreaterThan(20_000);
  expect(asks(door)).toEqual([]);
  if (status === '401') {
    // After a 401, Discord's client sends nothing for a minute.
    return;
  }
  await hurryAsks();
  await expect.poll(() => asks(door).flatMap(pings)).toEqual([[`<@&${ROLE}>`]]);
});

test('a step that waits again is asked for again, in the same message', async () => {
  const run = await waiting(db);
  await expect.poll(async () => (await approvalOf(db, run.runId)).ask_message).not.toBe('');
  const { workflow_uid: uid, node_id: nodeId, node, template, fields, rules, ...row } = await approvalOf(db, run.runId);
  const { started_at: startedAt, seen_version: version } = row;
  const seen = async (later: bigint, isWaiting: boolean) => {
    const where = { nodeId, node, template, startedAt, onExit: false };
    const asked = { key: run.key, kind: 'node', ...where, fields, rules } as const;
    const at = {
      namespace: NAMESPACE,
      name: run.workflow,
      uid,
      version: BigInt(version) + later,
      state: 'running',
    } as const;
    await recordWaiting(db, [{ ...at, waiting: isWaiting ? [asked] : [] }]);
    await createAnnouncements(db, silentLogger).approvalsDue();
  };
  const shown = () => asks(run)[0]?.versions.at(-1);
  await seen(10n, false);
  await expect.poll(shown).toMatchObject({ content: expect.stringContaining('no longer waits'), components: [] });
  await seen(20n, true);
  await expect.poll(() => shown()?.content).toContain('is waiting for approval');
  expect(shown()?.components).toHaveLength(1);
  expect(asks(run)).toHaveLength(1);
});

test('a deleted ask is not posted again to show who decided', async () => {
  const run = await waiting(db);
  await expect.poll(async () => (await approvalOf(db, run.runId)).ask_message).not.toBe('');
  const [{ channelId, id }] = asks(run) as [SimulatedMessage];
  await run.discord.faults.apply({ op: 'delete-message', channelId, id });
  await run.press('approve', ADA);
  await expect
    .poll(() => approvalOf(db, run.runId))
    .toMatchObject({ state: 'approved', ask_at: null, ask_message: '' });
  expect(asks(run)).toHaveLength(1);
});

test('an ask whose post got no response is updated with who decided in the meantime', async () => {
  const { cluster, door } = await openGatedDoor();
  const lost = { route: 'channel.message.create', times: 1, action: { kind: 'commit-then-reset' } } as const;
  await door.discord.faults.apply({ op: 'add', rule: lost });
  // Until it is decided, every retry finds Discord unavailable.
  const answer = { status: 503 } as const;
  const rule = { route: 'channel.message.create', action: { kind: 'answer', answer } } as const;
  await door.discord.faults.apply({ op: 'add', rule });
  const run = await askedRun({ db, cluster, discord: door.discord });
  await expect.poll(() => asks(door)).toHaveLength(1);
  await run.press('approve', ADA);
  await expect.poll(async () => (await approvalOf(db, run.runId)).state).toBe('approved');
  await door.discord.faults.apply({ op: 'clear' });
  await hurryAsks();
  const shown = () => asks(door)[0]?.versions.at(-1);
  await expect.poll(shown).toMatchObject({ content: '👍 `approve` approved by `ada`', components: [] });
  expect(asks(door)).toHaveLength(1);
});

describe('an approval for a command whose template was not read yet', () => {
  const yaml = `commands_from_templates: { namespaces: [${NAMESPACE}] }`;

  test('is asked for once the template is read, also by a process that only notifies', async () => {
    const cluster = await startCluster({ defaults: { outcome: 'succeed', pendingMs: 0, startMs: 0, stepMs: 0 } });
    const gate = { name: 'gate', suspend: {} };
    const steps = { name: 'main', steps: [[{ name: 'approve', template: 'gate' }]] };
    await applyTemplate(cluster, 'deploy', { spec: { templates: [steps, gate] } });
    const door = await openDiscordDoor({ db, cluster, yaml, roles: ['http', 'submit', 'follow'] });
    await expect
      .poll(async () => (await fetch(new URL('/v1/commands', door.facteur.url))).text())
      .toContain('"deploy"');
    const { interactionId } = await door.discord.people.command('deploy', [], STARTER);
    const { run_id: runId } = await expectRun(db, interactionId, 'running');
    await expect.poll(() => approvalOf(db, runId)).toMatchObject({ state: 'waiting' });
    const { requests } = cluster.faults;
    const held = requests.add({ match: { verb: 'list', resource: 'workflowtemplates' }, action: { kind: 'hold' } });
    await startFacteur({ db, cluster, yaml, env: discordEnv(door.discord), roles: ['notify'] });
    await expect.poll(async () => (await approvalOf(db, runId)).ask_claims).toBeGreaterThan(1);
    expect(asks(door)).toEqual([]);
    requests.remove(held);
    await expect.poll(() => asks(door).flatMap(pings), { timeout: 20_000 }).toEqual([[`<@&${ROLE}>`]]);
  });

  test('cannot be decided in the meantime, and no refusal is recorded', async () => {
    const run = await waiting(db);
    const press = {
      verdict: 'approved',
      runId: run.runId,
      key: run.key,
      interactionId: 'i',
      given: undefined,
      principal: { userId: ADA.id ?? '', username: 'ada', globalName: '', roles: [ROLE], guildId: '', channelId: '' },
    } as const;
    const rules = () => ({ commands: {}, roleMap: {}, incomplete: true }) as const;
    const pressed = pressApproval(press, { db, wakes: createAnnouncements(db, silentLogger), rules });
    await expect(pressed).rejects.toMatchObject({ code: 'commands.unread', retryable: true });
    expect((await db.query({ text: 'SELECT FROM facteur.refusals' })).rows).toEqual([]);
  });
});

test('a step that waits again while its deleted message is looked up is asked for again', async () => {
  const { runId } = await recordRun(db, { run: newRun(), claim: false });
  await openApproval(db, runId);
  await db.query({ text: `UPDATE facteur.approvals SET state = 'gone', ask_at = now(), ask_message = 'deleted'` });
  const [ask] = (await claimDueAsks(db, 1)).asks as [ClaimedAsk];
  await db.query({ text: `UPDATE facteur.approvals SET state = 'waiting'` });
  await releaseAsk(db, ask, { messageId: '', retryInMs: undefined });
  expect((await claimDueAsks(db, 1)).asks).toMatchObject([{ runId, state: 'waiting', messageId: '' }]);
});
