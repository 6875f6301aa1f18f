import { describe, expect, test, vi } from 'vitest';
import { requestCancel } from '../../src/ledger/cancel-and-retry.ts';
import { MIN_INTERVAL_MS } from '../../src/notify/pace.ts';
import type { ToldRun } from '../support/notify.ts';
import { recordInteraction, useToldWorld } from '../support/told-world.ts';

const told = useToldWorld();

describe('a run and its message', () => {
  test('one message, from the deferred answer to the end, with the token of the interaction', async () => {
    await told.world.startNotifier();
    const run = await told.world.plan();
    await told.world.told(run, '**Queued**');
    await told.world.submit(run);
    const waiting = await told.world.row(run);
    expect(Number(waiting['due_at']) - Number(waiting['told_at'])).toBe(MIN_INTERVAL_MS);
    await told.world.rest();
    await told.world.told(run, '**Submitted**');
    await told.world.rest();
    await told.world.observe(run, { progress: '1/4', startedAt: new Date() });
    await told.world.told(run, '▰▰▰▱▱▱▱▱▱▱ 1/4');
    expect(await requestCancel(told.db, run.runId, 'ada')).toMatchObject({ state: 'running', messageChanged: true });
    await told.world.rest();
    await vi.waitFor(() => expect(JSON.stringify(told.world.shown().components)).toContain('Canceling…'));
    await told.world.told(run, '**Running**');
    await told.world.rest();
    await told.world.observe(run, { state: 'failed', reason: 'main: Error (exit code 1)', finishedAt: new Date() });
    await told.world.shows('**Failed**');

    const { versions, id } = told.world.message();
    expect(versions.map(({ content, loading }) => (loading ? '…' : /\*\*(.*?)\*\*/.exec(content)?.[1]))).toEqual([
      '…',
      'Queued',
      'Submitted',
      'Running',
      'Running',
      'Failed',
    ]);
    expect(told.world.shown().content).toContain('main: Error (exit code 1)');
    expect(JSON.stringify(told.world.shown().components)).toContain(`facteur:retry:${run.runId}`);
    expect(new Set(versions.map(({ by }) => by))).toEqual(new Set(['interaction', 'webhook.message.edit']));
    expect(versions.flatMap(({ pings }) => pings)).toEqual([]);
    const atRest = { message_id: id, told_state: 'failed', due_at: null, abandoned: '' };
    await vi.waitFor(async () => expect(await told.world.row(run)).toMatchObject(atRest));
  });

  test('a burst of progress causes few edits, and the end is among them', async () => {
    await told.world.startNotifier();
    const run = await told.world.running();
    for (let done = 1; done <= 40; done += 1) {
      await told.world.observe(run, { progress: `${done}/40` });
    }
    await told.world.observe(run, { state: 'succeeded', progress: '40/40', finishedAt: new Date() });
    await told.world.shows('**Succeeded**');
    const edits = told.world.message().versions.filter(({ content }) => /Running|Succeeded/.test(content));
    const times = edits.map(({ at }) => Date.parse(at));
    const pauses = times.slice(1).map((time, index) => time - times[index]!);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(MIN_INTERVAL_MS);
  });

  test.each([-10, 10])('are updated by a process whose clock is %i minutes ahead', async (minutes) => {
    await told.world.startNotifier({ aheadMs: minutes * 60_000 });
    const run = await told.world.running({ ephemeral: true });
    await told.world.observe(run, { progress: '1/4' });
    await told.world.told(run, '1/4');
    await told.world.advance(8 * 60_000);
    await told.world.finish(run);
    await told.world.shows('**Succeeded**');
    expect(await told.world.row(run)).toMatchObject({ abandoned: '' });
  });

  test('progress in an old message waits, the end does not', async () => {
    await told.world.startNotifier();
    const run = await told.world.running();
    await told.world.advance(61 * 60_000);
    await told.world.observe(run, { progress: '1/4' });
    await told.world.told(run, '1/4');
    await told.world.rest();
    await told.world.observe(run, { progress: '2/4' });
    await vi.waitFor(async () => expect(await told.world.dueInMs(run)).toBeGreaterThan(100_000));
    await told.world.finish(run);
    await told.world.shows('**Succeeded**');
    expect(
      told.world
        .message()
        .versions.map(({ content }) => content)
        .join('\n'),
    ).not.toContain('2/4');
  });

  test('after a restart without sessions, the same message is updated', async () => {
    const first = await told.world.startNotifier();
    const run = await told.world.running();
    const { id } = told.world.message();
    await first.stop();
    const { sessions } = await startForgetful();
    await told.world.finish(run);
    await told.world.shows('**Succeeded**');
    expect(told.world.message()).toMatchObject({ id });
    expect(told.world.shown().by).toBe('channel.message.edit');
    expect(await sessions.tokenOf(run.interactionId)).toBeUndefined();
  });

  test('a stop waits until an update in progress is sent and recorded', async () => {
    const { sessions } = told.world;
    const [begun, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const slow = {
      status: () => sessions.status(),
      tokenOf: async (interactionId: string) => {
        begun.resolve();
        await held.promise;
        return sessions.tokenOf(interactionId);
      },
    };
    const running = await told.world.startNotifier({ sessions: slow });
    const run = await told.world.plan();
    await begun.promise;
    let isOver = false;
    const stopped = running.stop().then(() => (isOver = true));
    for (let query = 0; query < 5; query += 1) {
      await told.world.row(run);
    }
    expect(isOver).toBe(false);
    held.resolve();
    await stopped;
    expect(await told.world.row(run)).toMatchObject({ told_state: 'queued' });
  });

  test('several processes share the work and update each message once', async () => {
    await Promise.all([told.world.startNotifier(), told.world.startNotifier(), told.world.startNotifier()]);
    const runs: ToldRun[] = [];
    for (let count = 0; count < 12; count += 1) {
      await told.world.discord.faults.apply({ op: 'channel', id: `50${count}` });
      runs.push(await told.world.plan({ channelId: `50${count}` }));
    }
    await vi.waitFor(() => {
      const messages = told.world.discord.messages();
      expect(messages).toHaveLength(runs.length);
      expect(messages.map(({ versions }) => versions.length)).toEqual(runs.map(() => 2));
    });
  });
});

/** A notifier that knows no token. */
async function startForgetful() {
  const { MemorySessions } = await import('../../src/clients/sessions/memory-sessions.ts');
  const sessions = new MemorySessions({ now: () => new Date() });
  return { sessions, running: await told.world.startNotifier({ sessions }) };
}

describe('when the token does not work', () => {
  test.each([
    ['a public message', false],
    ['an ephemeral message', true],
  ])('another replica that does not find it yet looks again, before it updates %s', async (_, ephemeral) => {
    const { MemorySessions } = await import('../../src/clients/sessions/memory-sessions.ts');
    let looks = 0;
    // The door has recorded that it keeps the token, and the store has it a moment later.
    class SlowSessions extends MemorySessions {
      override async tokenOf(interactionId: string) {
        looks += 1;
        return looks < 3 ? undefined : told.world.sessions.tokenOf(interactionId);
      }
    }
    await told.world.startNotifier({ sessions: new SlowSessions({ now: () => new Date() }) });
    const run = await told.world.plan({ ephemeral });
    await told.world.told(run, '**Queued**');
    expect(told.world.shown().by).toBe('webhook.message.edit');
    expect(looks).toBe(3);
    expect(await told.world.row(run)).toMatchObject({ posts: 0, abandoned: '' });
    // Looking again is not a failure, after which the next attempt would wait longer.
    expect(told.world.log.join('')).not.toContain('message not delivered yet');
  });

  test('an ephemeral message is abandoned if the token does not arrive', async () => {
    await startForgetful();
    const run = await told.world.plan({ ephemeral: true });
    await told.world.advance(3000);
    await vi.waitFor(async () =>
      expect((await told.world.row(run))['abandoned']).toContain('the message is ephemeral'),
    );
    expect(told.world.discord.messages()).toHaveLength(1);
  });

  test('after 15 minutes, the bot edits the same message', async () => {
    await told.world.startNotifier();
    const run = await told.world.running();
    const { id } = told.world.message();
    await told.world.advance(16 * 60_000);
    await told.world.finish(run);
    await told.world.shows('**Succeeded**');
    expect(told.world.message().id).toBe(id);
    expect(told.world.shown().by).toBe('channel.message.edit');
    expect(told.world.discord.history.entries.filter(({ kind }) => kind === 'request.refused')).toEqual([]);
  });

  test('if the token is rejected early, the bot edits the message', async () => {
    await told.world.startNotifier();
    const run = await told.world.running();
    await told.world.discord.faults.apply({ op: 'revoke-tokens' });
    await told.world.finish(run);
    await told.world.shows('**Succeeded**');
    expect(told.world.shown().by).toBe('channel.message.edit');
    await vi.waitFor(async () => expect(await told.world.row(run)).toMatchObject({ token_refused: true }));
  });

  test('if it is lost before the first update, a new message says for whom it is and pings nobody', async () => {
    await startForgetful();
    const run = await told.world.plan();
    await told.world.advance(3000);
    await vi.waitFor(() => expect(told.world.discord.messages()).toHaveLength(2));
    const [thinking, posted] = told.world.discord.messages();
    expect(thinking?.versions).toHaveLength(1);
    expect(posted?.versions[0]).toMatchObject({ by: 'channel.message.create', pings: [] });
    expect(posted?.versions[0]?.content).toContain('for <@200000000000000001>');
    await vi.waitFor(async () => expect(await told.world.row(run)).toMatchObject({ told_state: 'queued' }));
    await told.world.rest();
    await told.world.submit(run);
    await vi.waitFor(() =>
      expect(told.world.discord.messages()[1]?.versions.at(-1)?.content).toContain('**Submitted**'),
    );
    expect(told.world.discord.messages()).toHaveLength(2);
  });

  test('an update waits for an answer that is still on its way', async () => {
    await told.world.startNotifier();
    const { promise: after, resolve: release } = Promise.withResolvers<void>();
    told.world.endpoint.reply = { status: 200, body: { type: 5 }, after };
    const pending = told.world.discord.people.command('plan');
    await vi.waitFor(() => expect(told.world.received).toHaveLength(1));
    await recordInteraction(told.db, told.world.sessions, told.world.received[0]!.body);
    await told.world.announce();
    await vi.waitFor(() => expect(told.world.discord.history.entries.at(-1)).toMatchObject({ code: 10_015 }));
    release();
    expect(await pending).toMatchObject({ outcome: 'acknowledged' });
    await told.world.shows('**Queued**');
    expect(told.world.discord.messages()).toHaveLength(1);
  });

  test('if the answer never arrived, a new message shows the run', async () => {
    await told.world.startNotifier();
    told.world.endpoint.reply = { status: 500, body: {} };
    expect(await told.world.discord.people.command('plan')).toMatchObject({ outcome: 'refused' });
    await recordInteraction(told.db, told.world.sessions, told.world.received[0]!.body);
    await told.world.announce();
    await told.world.notToldYet();
    await told.world.advance(20_000);
    await told.world.shows('**Queued**');
    expect(told.world.shown().by).toBe('channel.message.create');
  });
});
