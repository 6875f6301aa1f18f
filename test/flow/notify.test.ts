import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { requestCancel } from '../../src/ledger/cancel-and-retry.ts';
import { MIN_INTERVAL_MS } from '../../src/notify/pace.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { emptyLedger } from '../support/ledger.ts';
import type { ToldRun } from '../support/notify.ts';
import { recordInteraction, startToldWorld, type ToldWorld } from '../support/told-world.ts';

let database: TestDatabase;
let world: ToldWorld;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());
beforeEach(async () => {
  await emptyLedger(database.db);
  world = await startToldWorld(database.db);
});
afterEach(() => world.close());

describe('a run and its message', () => {
  test('one message, from thinking to the end, by the interaction’s token', async () => {
    await world.startNotifier();
    const run = await world.plan();
    await world.told(run, '**Queued**');
    await world.submit(run);
    const waiting = await world.row(run);
    expect(Number(waiting['due_at']) - Number(waiting['told_at'])).toBe(MIN_INTERVAL_MS);
    await world.rest();
    await world.told(run, '**Submitted**');
    await world.rest();
    await world.observe(run, { progress: '1/4', startedAt: new Date() });
    await world.told(run, '▰▰▰▱▱▱▱▱▱▱ 1/4');
    expect(await requestCancel(database.db, run.runId, 'ada')).toEqual({ state: 'running', messageChanged: true });
    await world.rest();
    await vi.waitFor(() => expect(JSON.stringify(world.shown().components)).toContain('Canceling…'));
    await world.told(run, '**Running**');
    await world.rest();
    await world.observe(run, { state: 'failed', reason: 'main: Error (exit code 1)', finishedAt: new Date() });
    await world.shows('**Failed**');

    const { versions, id } = world.message();
    expect(versions.map(({ content, loading }) => (loading ? '…' : /\*\*(.*?)\*\*/.exec(content)?.[1]))).toEqual([
      '…',
      'Queued',
      'Submitted',
      'Running',
      'Running',
      'Failed',
    ]);
    expect(world.shown().content).toContain('main: Error (exit code 1)');
    expect(JSON.stringify(world.shown().components)).toContain(`facteur:retry:${run.runId}`);
    expect(new Set(versions.map(({ by }) => by))).toEqual(new Set(['interaction', 'webhook.message.edit']));
    expect(versions.flatMap(({ pings }) => pings)).toEqual([]);
    const atRest = { message_id: id, told_state: 'failed', due_at: null, abandoned: '' };
    await vi.waitFor(async () => expect(await world.row(run)).toMatchObject(atRest));
  });

  test('a burst of progress is few edits, and the end is among them', async () => {
    await world.startNotifier();
    const run = await world.running();
    for (let done = 1; done <= 40; done += 1) {
      await world.observe(run, { progress: `${done}/40` });
    }
    await world.observe(run, { state: 'succeeded', progress: '40/40', finishedAt: new Date() });
    await world.shows('**Succeeded**');
    const edits = world.message().versions.filter(({ content }) => /Running|Succeeded/.test(content));
    const times = edits.map(({ at }) => Date.parse(at));
    const pauses = times.slice(1).map((time, index) => time - times[index]!);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(MIN_INTERVAL_MS);
  });

  test('progress of an old message waits, its end does not', async () => {
    await world.startNotifier();
    const run = await world.running();
    await world.advance(61 * 60_000);
    await world.observe(run, { progress: '1/4' });
    await world.told(run, '1/4');
    await world.rest();
    await world.observe(run, { progress: '2/4' });
    await vi.waitFor(async () => expect(await world.dueInMs(run)).toBeGreaterThan(100_000));
    await world.finish(run);
    await world.shows('**Succeeded**');
    expect(
      world
        .message()
        .versions.map(({ content }) => content)
        .join('\n'),
    ).not.toContain('2/4');
  });

  test('restarted without its sessions, it goes on with the same message', async () => {
    const first = await world.startNotifier();
    const run = await world.running();
    const { id } = world.message();
    await first.stop();
    const { sessions } = await startForgetful();
    await world.finish(run);
    await world.shows('**Succeeded**');
    expect(world.message()).toMatchObject({ id });
    expect(world.shown().by).toBe('channel.message.edit');
    expect(await sessions.tokenOf(run.interactionId)).toBeUndefined();
  });

  test('several processes share the work and tell each run once', async () => {
    await Promise.all([world.startNotifier(), world.startNotifier(), world.startNotifier()]);
    const runs: ToldRun[] = [];
    for (let count = 0; count < 12; count += 1) {
      await world.discord.faults.apply({ op: 'channel', id: `50${count}` });
      runs.push(await world.plan({ channelId: `50${count}` }));
    }
    await vi.waitFor(() => {
      const messages = world.discord.messages();
      expect(messages).toHaveLength(runs.length);
      expect(messages.map(({ versions }) => versions.length)).toEqual(runs.map(() => 2));
    });
  });
});

/** A notifier that knows no token. */
async function startForgetful() {
  const { MemorySessions } = await import('../../src/clients/sessions/memory-sessions.ts');
  const sessions = new MemorySessions({ now: () => new Date() });
  return { sessions, running: await world.startNotifier({ sessions }) };
}

describe('when the token does not work', () => {
  test('after 15 minutes the bot changes the same message', async () => {
    await world.startNotifier();
    const run = await world.running();
    const { id } = world.message();
    await world.advance(16 * 60_000);
    await world.finish(run);
    await world.shows('**Succeeded**');
    expect(world.message().id).toBe(id);
    expect(world.shown().by).toBe('channel.message.edit');
    expect(world.discord.history.entries.filter(({ kind }) => kind === 'request.refused')).toEqual([]);
  });

  test('refused before its time, likewise', async () => {
    await world.startNotifier();
    const run = await world.running();
    await world.discord.faults.apply({ op: 'revoke-tokens' });
    await world.finish(run);
    await world.shows('**Succeeded**');
    expect(world.shown().by).toBe('channel.message.edit');
    await vi.waitFor(async () => expect(await world.row(run)).toMatchObject({ token_refused: true }));
  });

  test('lost before anything was told: a new message, which says for whom it is and mentions nobody', async () => {
    await startForgetful();
    const run = await world.plan();
    await vi.waitFor(() => expect(world.discord.messages()).toHaveLength(2));
    const [thinking, posted] = world.discord.messages();
    expect(thinking?.versions).toHaveLength(1);
    expect(posted?.versions[0]).toMatchObject({ by: 'channel.message.create', pings: [] });
    expect(posted?.versions[0]?.content).toContain('for <@200000000000000001>');
    await vi.waitFor(async () => expect(await world.row(run)).toMatchObject({ told_state: 'queued' }));
    await world.rest();
    await world.submit(run);
    await vi.waitFor(() => expect(world.discord.messages()[1]?.versions.at(-1)?.content).toContain('**Submitted**'));
    expect(world.discord.messages()).toHaveLength(2);
  });

  test('an answer that is still on its way is waited for', async () => {
    await world.startNotifier();
    const { promise: after, resolve: release } = Promise.withResolvers<void>();
    world.endpoint.reply = { status: 200, body: { type: 5 }, after };
    const pending = world.discord.people.command('plan');
    await vi.waitFor(() => expect(world.received).toHaveLength(1));
    await recordInteraction(database.db, world.sessions, world.received[0]!.body);
    await world.announce();
    await vi.waitFor(() => expect(world.discord.history.entries.at(-1)).toMatchObject({ code: 10_015 }));
    release();
    expect(await pending).toMatchObject({ outcome: 'acknowledged' });
    await world.shows('**Queued**');
    expect(world.discord.messages()).toHaveLength(1);
  });

  test('an answer that never came leaves the run, and its user hears of it by a new message', async () => {
    await world.startNotifier();
    world.endpoint.reply = { status: 500, body: {} };
    expect(await world.discord.people.command('plan')).toMatchObject({ outcome: 'refused' });
    await recordInteraction(database.db, world.sessions, world.received[0]!.body);
    await world.announce();
    await world.notToldYet();
    await world.advance(20_000);
    await world.shows('**Queued**');
    expect(world.shown().by).toBe('channel.message.create');
  });
});
