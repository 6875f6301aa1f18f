import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../../src/clients/postgres/database.ts';
import type { ButtonAction } from '../../src/notify/button-id.ts';
import type { SimulatedDiscord } from '../../src/sandbox/discord/discord.ts';
import type { SimulatedMessage } from '../../src/sandbox/discord/message.ts';
import type { Who } from '../../src/sandbox/discord/people.ts';
import { NAMESPACE, startCluster, type Json } from '../support/cluster.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openDiscordDoor, OTHER_ROLE, ROLE, whispered, type DiscordDoor } from '../support/discord-door.ts';
import { countRuns, created, emptyLedger, expectRun, runOf } from '../support/ledger.ts';

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ db } = database);
});
afterAll(() => database.close());
beforeEach(() => emptyLedger(db));

const ADA: Who = { id: '200000000000000001', roles: [ROLE] };
const BOB: Who = { id: '200000000000000002', username: 'bob', roles: [OTHER_ROLE] };

interface Started extends DiscordDoor {
  readonly interactionId: string;
  readonly runId: string;
  /** The run's message as it is now. */
  message(): SimulatedMessage;
  press(action: ButtonAction, who?: Who): ReturnType<DiscordDoor['discord']['people']['press']>;
}

/** Somebody has run `/plan`, and its workflow has gone this way. */
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

/** Presses a button that the message had when the person's client last looked, whatever it has now. */
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
  await expect.poll(() => run.message().versions.at(-1)?.content, { timeout: 15_000 }).toContain(word);
}

describe('Cancel', () => {
  test('ends a live run, and its message says so', async () => {
    const run = await started('hang');
    await shows(run, 'Running');
    // The button that the message really has.
    const exchange = await run.discord.people.press(run.message(), `facteur:cancel:${run.runId}`, ADA);
    expect(whispered(exchange)).toContain('is being ended');
    expect(exchange.milliseconds).toBeLessThan(3000);
    const row = await expectRun(db, run.interactionId, 'canceled');
    expect(row.cancel_requested_by).toBe('discord user 200000000000000001 (ada)');
    await shows(run, 'Canceled');
  });

  test('on a run that is over says so, and changes nothing', async () => {
    const run = await started('hang');
    await run.press('cancel');
    await expectRun(db, run.interactionId, 'canceled');
    expect(whispered(await run.press('cancel'))).toContain('is over already (canceled)');
  });
});

describe('Retry', () => {
  test('tries a failed run again, once, and a message of its own tells how that goes', async () => {
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
    await expect.poll(() => message()?.versions.at(-1)?.content, { timeout: 15_000 }).toContain('Failed');
    // The first message stays what it was.
    expect(run.message().versions.at(-1)?.content).toContain((await runOf(db, run.interactionId)).workflow_name);
    // The very same press again is answered as before.
    expect((await run.discord.people.again(deferred)).answer).toEqual(deferred.answer);
    expect(await countRuns(db)).toBe(2);
  });

  test('is of the person who presses', async () => {
    const run = await started('fail');
    await run.press('retry', { ...BOB, roles: [ROLE] });
    expect(await expectRun(db, `retry:${run.runId}`, 'failed')).toMatchObject({ user_id: BOB.id });
  });

  test.each([
    ['succeed', 'has succeeded, so there is nothing to try again'],
    ['hang', 'is still under way (running)'],
  ] as const)('of one that goes %s is refused kindly', async (outcome, text) => {
    const run = await started(outcome);
    expect(whispered(await run.press('retry'))).toContain(text);
    expect(await countRuns(db)).toBe(1);
  });
});

describe('Logs', () => {
  test('shows what the failing step said, and its last lines, to whoever asked', async () => {
    const run = await started('fail');
    const text = whispered(await run.press('logs'));
    expect(text).toMatch(/^Workflow `plan-.*` failed:\n```\nstep-1: main: Error \(exit code 1\)\n```\n```\n/);
    expect(text).toContain('step-1: works\n');
    expect(text.length).toBeLessThanOrEqual(2000);
  });

  test('says when there are none', async () => {
    const run = await started('fail');
    const name = (await runOf(db, run.interactionId)).workflow_name;
    run.facteur.cluster.store.delete('workflows', run.facteur.cluster.store.get('workflows', NAMESPACE, name));
    const text = whispered(await run.press('logs'));
    expect(text).toContain('step-1: main: Error (exit code 1)');
    expect(text).toContain('no longer there');
  });

  test('with a cluster that hangs, in time', async () => {
    const run = await started('fail');
    run.facteur.cluster.faults.apply({ op: 'add', rule: { match: { verb: 'get' }, action: { kind: 'hang' } } });
    const exchange = await run.press('logs');
    expect(whispered(exchange)).toContain('The cluster does not answer');
    expect(exchange.outcome).toBe('acknowledged');
  });
});

describe('every press', () => {
  test.each(['cancel', 'retry', 'logs'] as const)(
    'of %s is authorised by the roles that the person has now',
    async (action) => {
      const run = await started(action === 'cancel' ? 'hang' : 'fail');
      expect(whispered(await run.press(action, BOB))).toContain('You may not use `/plan`');
      // Whoever ran it may have lost the role since.
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

  test('about a run that nobody knows any more, or with an id that is none of ours, is answered', async () => {
    const run = await started('succeed', 'role_map: {}\n');
    const press = (customId: string) => pressOld(run.discord, run.message(), { customId, who: ADA });
    expect(whispered(await press(`facteur:cancel:${randomUUID()}`))).toContain('no record of this run');
    expect(whispered(await press('facteur:explode:1'))).toContain('belongs to nothing');
    expect(whispered(await press('somebody-else'))).toContain('belongs to nothing');
  });
});
