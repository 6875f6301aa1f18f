import { randomUUID } from 'node:crypto';
import { describe, expect } from 'vitest';
import type { ButtonAction } from '../../src/presentation/button-id.ts';
import type { SimulatedDiscord } from '../../sandbox/discord/discord.ts';
import type { SimulatedMessage } from '../../sandbox/discord/message.ts';
import type { Who } from '../../sandbox/discord/people.ts';
import { NAMESPACE, startCluster, type Json } from '../support/cluster.ts';
import { openDiscordDoor, OTHER_ROLE, ROLE, whispered, type DiscordDoor } from '../support/discord-door.ts';
import { countRuns, created, expectRun, runOf, timePasses } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';

const ADA: Who = { id: '200000000000000001', roles: [ROLE] };
const BOB: Who = { id: '200000000000000002', username: 'bob', roles: [OTHER_ROLE] };

interface Started extends DiscordDoor {
  readonly interactionId: string;
  readonly runId: string;
  /** The run's message as it is now. */
  message(): SimulatedMessage;
  press(action: ButtonAction, who?: Who): ReturnType<DiscordDoor['discord']['people']['press']>;
}

/** Somebody has run `/plan`, and its workflow has reached this outcome. */
async function started(
  outcome: 'hang' | 'fail' | 'succeed',
  yaml = `role_map:\n  plan: ['${ROLE}']\n`,
): Promise<Started> {
  const cluster = await startCluster({ defaults: { outcome, at: 1, pendingMs: 0, startMs: 0, stepMs: 0 } });
  const door = await openDiscordDoor({ db, cluster, yaml, roles: ['http', 'submit', 'follow', 'notify'] });
  const { discord } = door;
  const { interactionId } = await discord.people.command('plan', [{ name: 'objective', value: 'x' }], ADA);
  const state = ({ hang: 'running', fail: 'failed', succeed: 'succeeded' } as const)[outcome];
  const { run_id: runId } = await expectRun(db, interactionId, state);
  const message = () => discord.messages().find((candidate) => candidate.interactionId === interactionId)!;
  return {
    ...door,
    interactionId,
    runId,
    message,
    press: (action, who = ADA) => pressOld(discord, message(), { customId: `facteur:${action}:${runId}`, who }),
  };
}

/** Presses a button that the message may no longer have, as a client with an old version does. */
function pressOld(
  discord: SimulatedDiscord,
  message: SimulatedMessage,
  { customId, who }: { readonly customId: string; readonly who: Who },
): ReturnType<SimulatedDiscord['people']['press']> {
  const components = [{ type: 1, components: [{ type: 2, custom_id: customId }] }];
  const versions = message.versions.map((version) => ({ ...version, components }));
  return discord.people.press({ ...message, versions }, customId, who);
}

async function shows(run: Started, word: string): Promise<void> {
  await expect.poll(() => run.message().versions.at(-1)?.content).toContain(word);
}

describe('Cancel', () => {
  test('stops a live run, and its message shows it', async () => {
    const run = await started('hang');
    await shows(run, 'Running');
    // This is the button that the message really has.
    const exchange = await run.discord.people.press(run.message(), `facteur:cancel:${run.runId}`, ADA);
    expect(whispered(exchange)).toContain('is being canceled');
    expect(exchange.milliseconds).toBe(0);
    const row = await expectRun(db, run.interactionId, 'canceled');
    expect(row.cancel_requested_by).toBe('discord user 200000000000000001 (ada)');
    await shows(run, 'Canceled');
  });

  test('shows why the cluster rejects it until it is accepted', async () => {
    const run = await started('hang');
    await shows(run, 'Running');
    const message = 'facteur may not patch workflows';
    const rule = run.facteur.cluster.faults.requests.add({
      match: { verb: 'patch' },
      action: { kind: 'answer', answer: { status: 403, reason: 'Forbidden', message } },
    });
    await run.press('cancel');
    await shows(run, `Not canceled yet; facteur keeps trying: \`${message}\``);
    expect(await runOf(db, run.interactionId)).toMatchObject({ state: 'running', reason: message });
    expect(whispered(await run.press('logs'))).not.toContain(message);
    run.facteur.cluster.faults.requests.remove(rule);
    await timePasses(db);
    expect((await expectRun(db, run.interactionId, 'canceled')).reason).not.toContain(message);
    await shows(run, 'Canceled');
  });

  test('on a run that has ended says so', async () => {
    const run = await started('hang');
    await run.press('cancel');
    await expectRun(db, run.interactionId, 'canceled');
    expect(whispered(await run.press('cancel'))).toContain('has already ended (canceled)');
  });
});

describe('Retry', () => {
  test('retries a failed run once, and the retry has its own message', async () => {
    const run = await started('fail');
    await shows(run, 'Failed');
    const [one, other] = await Promise.all([run.press('retry'), run.press('retry')]);
    const answers = [one, other].map(({ answer }) => (answer as Json).type).toSorted((a, b) => a - b);
    expect(answers).toEqual([4, 5]);
    const [deferred, told] = (one.answer as Json).type === 5 ? [one, other] : [other, one];
    const second = await expectRun(db, `retry:${run.runId}`, 'failed');
    expect(whispered(told)).toContain(second.workflow_name);
    expect(second).toMatchObject({ retry_of: run.runId, user_id: ADA.id });
    expect(created(run.facteur.cluster)).toHaveLength(2);
    const message = () => run.discord.messages().find(({ interactionId }) => interactionId === deferred.interactionId);
    await expect.poll(() => message()?.versions.at(-1)?.content).toContain('Failed');
    // The first message still shows the first run.
    expect(run.message().versions.at(-1)?.content).toContain((await runOf(db, run.interactionId)).workflow_name);
    // A redelivery of the same press gets the same answer.
    expect((await run.discord.people.again(deferred)).answer).toEqual(deferred.answer);
    expect(await countRuns(db)).toBe(2);
  });

  test.each([
    ['before', 'was recorded too late'],
    ['after', 'was recorded, but its response came too late'],
  ] as const)('that was reported as failed (%s: it %s) can be pressed again', async (when, _what) => {
    const run = await started('fail');
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    run.facteur.faults[when] = (statement) => (statement === 'record-runs' ? held : undefined);
    const pressed = run.press('retry');
    await run.timer.pass(2000);
    const failed = await pressed;
    expect(whispered(failed)).toContain('press again');
    run.facteur.faults[when] = () => undefined;
    letGo();
    await expectRun(db, `retry:${run.runId}`, 'canceled');
    expect((await run.press('retry')).answer).toMatchObject({ type: 5 });
    const second = await expectRun(db, `retry:${run.runId}:2`, 'failed');
    expect(second).toMatchObject({ retry_of: run.runId });
    // This retry really ran: from now on, it is the one to retry.
    expect(whispered(await run.press('retry'))).toContain(second.workflow_name);
    expect(created(run.facteur.cluster)).toHaveLength(2);
  });

  test.each([
    ['the run is', true, false],
    ['its command is by now', false, true],
    ['both are', true, true],
  ])('is private if %s', async (_what, wasPrivate, isPrivate) => {
    const yaml = `commands:
  plan:
    description: Plan
    ephemeral: ${isPrivate}
    options: [{ name: objective, description: What }]
`;
    const run = await started('fail', yaml);
    await shows(run, 'Failed');
    await db.query({ text: 'UPDATE facteur.messages SET ephemeral = $1', values: [wasPrivate] });
    const pressed = await run.press('retry');
    expect(pressed.answer).toEqual({ type: 5, data: { flags: 64 } });
    expect((await run.discord.people.again(pressed)).answer).toEqual(pressed.answer);
    const { rows } = await db.query({
      text: 'SELECT ephemeral FROM facteur.messages WHERE interaction_id = $1',
      values: [pressed.interactionId],
    });
    expect(rows).toEqual([{ ephemeral: true }]);
  });

  test('counts as the last request of the person who pressed it', async () => {
    const run = await started('fail');
    await run.press('retry');
    const { workflow_name: name } = await expectRun(db, `retry:${run.runId}`, 'failed');
    const text = whispered(await run.discord.people.command('status', [], ADA));
    expect(text).toContain(`Your last request, \`/plan\`: ❌ Failed (\`0/3\`), workflow \`${name}\``);
    expect(text).toContain(`Last request correlation: \`${name}\``);
  });

  test('belongs to the person who pressed it', async () => {
    const run = await started('fail');
    await run.press('retry', { ...BOB, roles: [ROLE] });
    expect(await expectRun(db, `retry:${run.runId}`, 'failed')).toMatchObject({ user_id: BOB.id });
  });

  test.each([
    ['succeed', 'succeeded, so there is nothing to retry'],
    ['hang', 'is still in progress (running)'],
  ] as const)('of a run with outcome %s is refused with the reason', async (outcome, text) => {
    const run = await started(outcome);
    expect(whispered(await run.press('retry'))).toContain(text);
    expect(await countRuns(db)).toBe(1);
  });
});

/** The current labels of a message's buttons. */
function labels(message: SimulatedMessage | undefined): readonly string[] {
  const rows = (message?.versions.at(-1)?.components ?? []) as unknown as readonly {
    components: readonly { label: string }[];
  }[];
  return rows.flatMap(({ components }) => components.map(({ label }) => label));
}

test('a run and its retry link to each other, and only the retry can be retried', async () => {
  const run = await started('fail');
  await shows(run, 'Failed');
  expect(labels(run.message())).toEqual(['Retry', 'Logs', 'Show request']);
  const { interactionId } = await run.press('retry');
  const second = () => run.discord.messages().find((message) => message.interactionId === interactionId);
  await shows(run, 'Retried as [a new run](https://discord.com/channels/');
  expect(run.message().versions.at(-1)?.content).toContain(`/${second()?.id})`);
  expect(labels(run.message())).toEqual(['Logs', 'Show request']);
  await expect.poll(() => second()?.versions.at(-1)?.content).toContain('Failed');
  expect(second()?.versions.at(-1)?.content).toContain(`Retry of [an earlier run](https://discord.com/channels/`);
  expect(second()?.versions.at(-1)?.content).toContain(`/${run.message().id})`);
  expect(labels(second())).toContain('Retry');
});

test('a successful run can be run again once', async () => {
  const run = await started('succeed');
  await shows(run, 'Succeeded');
  expect(labels(run.message())).toEqual(['Run again', 'Show request']);
  expect((await run.press('again')).answer).toMatchObject({ type: 5 });
  const second = await expectRun(db, `retry:${run.runId}`, 'succeeded');
  expect(second).toMatchObject({ retry_of: run.runId, title: 'x' });
  expect(whispered(await run.press('again'))).toContain(second.workflow_name);
  await shows(run, 'Retried as');
});

test('Show request shows the request without secrets, only to the person who pressed it', async () => {
  const run = await started(
    'hang',
    `role_map: {}\nargo: { parameters: { api_token: CANARY, note: ghp_${'canary'.repeat(6)} } }\n`,
  );
  await shows(run, '`/plan x`');
  const text = whispered(await run.press('request'));
  expect(text).toContain('action: plan\n');
  expect(text).toContain('objective: x\n');
  expect(text).toContain('api_token: ***');
  expect(text).toContain('note: ***');
  expect(text).not.toContain('CANARY');
});

test('the message of a running run names its step, and Logs shows the log of that step', async () => {
  const run = await started('hang');
  await shows(run, '`step-1`');
  const text = whispered(await run.press('logs'));
  expect(text).toMatch(/^Workflow `plan-.*` is at the step `step-1`:\n```\n/);
  expect(text).toContain('step-1: works\n');
});

test('/status lists ended runs, including a retry, with links', async () => {
  const run = await started('fail', 'role_map: {}\n');
  await shows(run, 'Failed');
  await run.press('retry');
  await expectRun(db, `retry:${run.runId}`, 'failed');
  await shows(run, 'Retried as');
  const text = whispered(await run.discord.people.command('status', [], ADA));
  expect(
    text.match(/❌ Failed · `\/plan x` · <t:\d+:R> · \[message\]\(https:\/\/discord\.com\/channels\/\d+\/\d+\/\d+\)/g),
  ).toHaveLength(2);
});

describe('Logs', () => {
  test('shows the message and the last lines of the failed step, only to the person who pressed it', async () => {
    const run = await started('fail');
    const text = whispered(await run.press('logs'));
    expect(text).toMatch(/^Workflow `plan-.*` failed:\n```\nstep-1: main: Error \(exit code 1\)\n```\n```\n/);
    expect(text).toContain('step-1: works\n');
    expect(text.length).toBeLessThanOrEqual(2000);
  });

  test('says so if the workflow no longer exists', async () => {
    const run = await started('fail');
    const name = (await runOf(db, run.interactionId)).workflow_name;
    run.facteur.cluster.store.delete('workflows', run.facteur.cluster.store.get('workflows', NAMESPACE, name));
    const text = whispered(await run.press('logs'));
    expect(text).toContain('step-1: main: Error (exit code 1)');
    expect(text).toContain('no longer exists');
  });

  test('answers in time while the cluster hangs', async () => {
    const run = await started('fail');
    run.facteur.cluster.faults.apply({ op: 'add', rule: { match: { verb: 'get' }, action: { kind: 'hang' } } });
    const pressed = run.press('logs');
    await run.timer.pass(1500);
    const exchange = await pressed;
    expect(whispered(exchange)).toContain('The cluster does not respond');
    expect(exchange.outcome).toBe('acknowledged');
  });
});

describe('every press', () => {
  test.each(['cancel', 'retry', 'logs'] as const)(
    'of %s is authorized by the current roles of the person',
    async (action) => {
      const run = await started(action === 'cancel' ? 'hang' : 'fail');
      expect(whispered(await run.press(action, BOB))).toContain(`it requires the role <@&${ROLE}>.`);
      // The requester may have lost the role since.
      expect(whispered(await run.press(action, { ...ADA, roles: [] }))).toContain('You may not use `/plan`');
      const { rows } = await db.query({ text: 'SELECT door, command, user_id FROM facteur.refusals ORDER BY id' });
      expect(rows).toEqual([
        { door: 'discord', command: 'plan', user_id: BOB.id },
        { door: 'discord', command: 'plan', user_id: ADA.id },
      ]);
      expect(await countRuns(db)).toBe(1);
      expect((await runOf(db, run.interactionId)).cancel_requested_by).toBeNull();
    },
  );

  test('on an unknown run or with an unknown id gets an answer', async () => {
    const run = await started('succeed', 'role_map: {}\n');
    const press = (customId: string) => pressOld(run.discord, run.message(), { customId, who: ADA });
    expect(whispered(await press(`facteur:cancel:${randomUUID()}`))).toContain('no longer has a record of this run');
    expect(whispered(await press('facteur:explode:1'))).toContain('no longer works');
    expect(whispered(await press('somebody-else'))).toContain('no longer works');
  });
});
