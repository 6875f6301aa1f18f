import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { moveRun } from '../../src/ledger/move-run.ts';
import { requestCancel } from '../../src/ledger/request-cancel.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { emptyLedger, wholeLedger } from '../support/ledger.ts';
import { messageRow, type ToldRun } from '../support/notify.ts';
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

const shows = (text: string) => vi.waitFor(() => expect(world.shown().content).toContain(text), { timeout: 8000 });
const row = (run: ToldRun) => messageRow(database.db, run.runId);
const submit = async (run: ToldRun) => {
  await moveRun(database.db, { runId: run.runId, to: 'submitted', workflowUid: `uid-${run.runId}` });
  await world.announce();
};

/** Runs and is told of: what comes after is what the test is about. */
async function running(options: Parameters<ToldWorld['plan']>[0] = {}): Promise<ToldRun> {
  const run = await world.plan(options);
  await submit(run);
  await world.observe(run, { progress: '0/4', startedAt: new Date() });
  await vi.waitFor(async () => expect(await row(run)).toMatchObject({ told_state: 'running' }), { timeout: 8000 });
  return run;
}

async function finish(run: ToldRun, reason = ''): Promise<void> {
  const state = reason === '' ? 'succeeded' : 'failed';
  await world.observe(run, { state, reason, progress: '4/4', finishedAt: new Date() });
  await world.dueNow(run);
}

describe('a run and its message', () => {
  test('one message, from thinking to the end, by the interaction’s token', async () => {
    await world.startNotifier();
    const run = await world.plan();
    await shows('**Queued**');
    await submit(run);
    await shows('**Submitted**');
    await world.observe(run, { progress: '1/4', startedAt: new Date() });
    await shows('▰▰▰▱▱▱▱▱▱▱ 1/4');
    expect(await requestCancel(database.db, run.runId, 'ada')).toEqual({ state: 'running', news: true });
    await world.announce();
    await vi.waitFor(() => expect(JSON.stringify(world.shown().components)).toContain('Canceling …'), {
      timeout: 8000,
    });
    await world.observe(run, { state: 'failed', reason: 'main: Error (exit code 1)', finishedAt: new Date() });
    await shows('**Failed**');

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
    const times = versions.slice(1).map(({ at }) => Date.parse(at));
    expect(Math.min(...times.slice(1).map((time, index) => time - times[index]!))).toBeGreaterThanOrEqual(1900);
    expect(versions.flatMap(({ pings }) => pings)).toEqual([]);
    const told = { message_id: id, told_state: 'failed', due_at: null, abandoned: '' };
    await vi.waitFor(async () => expect(await row(run)).toMatchObject(told));
  });

  test('a burst of progress is few edits, and the end is among them', async () => {
    await world.startNotifier();
    const run = await running();
    for (let done = 1; done <= 40; done += 1) {
      await world.observe(run, { progress: `${done}/40` });
    }
    await world.observe(run, { state: 'succeeded', progress: '40/40', finishedAt: new Date() });
    await shows('**Succeeded**');
    expect(world.message().versions.length).toBeLessThan(8);
  });

  test('progress of an old message waits, its end does not', async () => {
    await world.startNotifier();
    const run = await running();
    world.advance(20 * 60_000);
    await world.observe(run, { progress: '1/4' });
    await world.dueNow(run);
    await shows('1/4');
    await world.observe(run, { progress: '2/4' });
    await vi.waitFor(async () => expect((await row(run))['due_at']).not.toBeNull());
    await world.observe(run, { state: 'succeeded', progress: '4/4', finishedAt: new Date() });
    await shows('**Succeeded**');
    expect(
      world
        .message()
        .versions.map(({ content }) => content)
        .join('\n'),
    ).not.toContain('2/4');
  });

  test('restarted without its sessions, it goes on with the same message', async () => {
    const first = await world.startNotifier();
    const run = await running();
    const { id } = world.message();
    await first.stop();
    const { sessions } = await startForgetful();
    await finish(run);
    await shows('**Succeeded**');
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
    await vi.waitFor(
      () => {
        const messages = world.discord.messages();
        expect(messages).toHaveLength(runs.length);
        expect(messages.map(({ versions }) => versions.length)).toEqual(runs.map(() => 2));
      },
      { timeout: 8000 },
    );
  });
});

/** A notifier that knows no token. */
async function startForgetful() {
  const { MemorySessions } = await import('../../src/clients/sessions/memory-sessions.ts');
  const sessions = new MemorySessions({ now: () => new Date() });
  return { sessions, running: await world.startNotifier({ sessions }) };
}

describe('when the token is of no use', () => {
  test('after 15 minutes the bot changes the same message', async () => {
    await world.startNotifier();
    const run = await running();
    const { id } = world.message();
    world.advance(16 * 60_000);
    await finish(run);
    await shows('**Succeeded**');
    expect(world.message().id).toBe(id);
    expect(world.shown().by).toBe('channel.message.edit');
    expect(world.discord.history.entries.filter(({ kind }) => kind === 'request.refused')).toEqual([]);
  });

  test('refused before its time, likewise', async () => {
    await world.startNotifier();
    const run = await running();
    await world.discord.faults.apply({ op: 'revoke-tokens' });
    await finish(run);
    await shows('**Succeeded**');
    expect(world.shown().by).toBe('channel.message.edit');
    expect(await row(run)).toMatchObject({ token_refused: true });
  });

  test('lost before anything was told: a new message, which says for whom it is and mentions nobody', async () => {
    await startForgetful();
    const run = await world.plan();
    await vi.waitFor(() => expect(world.discord.messages()).toHaveLength(2));
    const [thinking, posted] = world.discord.messages();
    expect(thinking?.versions).toHaveLength(1);
    expect(posted?.versions[0]).toMatchObject({ by: 'channel.message.create', pings: [] });
    expect(posted?.versions[0]?.content).toContain('for <@200000000000000001>');
    await submit(run);
    await world.dueNow(run);
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
    await shows('**Queued**');
    expect(world.discord.messages()).toHaveLength(1);
  });

  test('an answer that never came leaves the run, and its user hears of it by a new message', async () => {
    await world.startNotifier();
    world.endpoint.reply = { status: 500, body: {} };
    expect(await world.discord.people.command('plan')).toMatchObject({ outcome: 'refused' });
    const run = await recordInteraction(database.db, world.sessions, world.received[0]!.body);
    await world.announce();
    await vi.waitFor(async () => expect((await row(run))['attempts']).toBe(1));
    world.advance(20_000);
    await world.dueNow(run);
    await shows('**Queued**');
    expect(world.shown().by).toBe('channel.message.create');
  });
});

describe('when the message is of no use', () => {
  test('deleted: the next state is a new message, which is changed from then on', async () => {
    await world.startNotifier();
    const run = await running();
    await world.discord.faults.apply({
      op: 'delete-message',
      channelId: world.message().channelId,
      id: world.message().id,
    });
    await world.observe(run, { progress: '2/4' });
    await world.dueNow(run);
    await shows('2/4');
    expect(world.shown().by).toBe('channel.message.create');
    await finish(run, 'exit code 1');
    await shows('**Failed**');
    expect(world.shown().by).toBe('channel.message.edit');
  });

  test('a new message is posted once, though its answer was lost', async () => {
    await world.startNotifier();
    const run = await running();
    const { channelId, id } = world.message();
    await world.discord.faults.apply({ op: 'delete-message', channelId, id });
    const action = { kind: 'commit-then-reset' } as const;
    await world.discord.faults.apply({ op: 'add', rule: { route: 'channel.message.create', times: 1, action } });
    await finish(run);
    await vi.waitFor(async () => expect((await row(run))['attempts']).toBe(1));
    await world.dueNow(run);
    await vi.waitFor(async () => expect(await row(run)).toMatchObject({ posts: 1, due_at: null }));
    expect(world.shown().content).toContain('**Succeeded**');
  });

  test('in a closed thread, a new message is tried, and its refusal waited out', async () => {
    await world.startNotifier();
    const run = await running();
    const { channelId } = world.message();
    world.advance(16 * 60_000);
    await world.discord.faults.apply({ op: 'channel', id: channelId, rights: { archived: true } });
    await finish(run);
    await vi.waitFor(async () => expect(await row(run)).toMatchObject({ attempts: 1, message_id: '' }));
    await world.discord.faults.apply({ op: 'channel', id: channelId });
    await world.dueNow(run);
    await vi.waitFor(() => expect(world.discord.messages().at(-1)?.versions[0]?.content).toContain('**Succeeded**'));
  });

  test('without access the bot comes back now and then, and the run goes on', async () => {
    await world.startNotifier();
    const run = await running();
    const { channelId } = world.message();
    world.advance(16 * 60_000);
    await world.discord.faults.apply({ op: 'channel', id: channelId, rights: { view: false } });
    await finish(run);
    await vi.waitFor(async () => expect((await row(run))['attempts']).toBe(1));
    const dueInMs = ((await row(run))['due_at'] as Date).getTime() - Date.now();
    expect(dueInMs).toBeGreaterThan(20_000);
    const { rows } = await database.db.query({ text: 'SELECT state FROM facteur.runs' });
    expect(rows).toEqual([{ state: 'succeeded' }]);
    await world.discord.faults.apply({ op: 'channel', id: channelId });
    await world.dueNow(run);
    await shows('**Succeeded**');
  });

  test('without a channel nothing can be told: noted, logged, and the run goes on', async () => {
    await world.startNotifier();
    const run = await running();
    world.advance(16 * 60_000);
    await world.discord.faults.apply({ op: 'delete-channel', id: world.message().channelId });
    await finish(run);
    await vi.waitFor(async () => expect((await row(run))['abandoned']).toContain('Unknown Channel'));
    expect(await row(run)).toMatchObject({ due_at: null, told_state: 'running' });
    expect(world.log.filter((line) => line.includes('message cannot be told'))).toHaveLength(1);
    const { rows } = await database.db.query({
      text: `SELECT 1 FROM codex_kb.run_events WHERE event_type = 'message.abandoned'`,
    });
    expect(rows).toHaveLength(1);
  });

  test('a message for one person says its last word in time, and nothing is ever shown to others', async () => {
    await world.startNotifier();
    const run = await running({ ephemeral: true });
    const dueInMs = ((await row(run))['due_at'] as Date).getTime() - Date.now();
    expect(dueInMs).toBeGreaterThan(13 * 60_000);
    world.advance(14 * 60_000);
    await world.dueNow(run);
    await shows('can be changed no longer');
    expect((await row(run))['due_at']).toBeNull();
    world.advance(2 * 60_000);
    await finish(run);
    await vi.waitFor(async () => expect((await row(run))['abandoned']).toContain('only one person may see it'));
    expect(world.message()).toMatchObject({ ephemeral: true });
  });
});

describe('when Discord is not well', () => {
  test.each([
    ['429', { kind: 'answer', answer: { status: 429, retryAfterMs: 1000 } }],
    ['a global 429', { kind: 'answer', answer: { status: 429, retryAfterMs: 1000, scope: 'global' } }],
    ['503', { kind: 'answer', answer: { status: 503 } }],
    ['a proxy’s page', { kind: 'answer', answer: { status: 200, body: '<html>' } }],
    ['a reset', { kind: 'reset' }],
    ['an answer that is lost', { kind: 'commit-then-reset' }],
    ['no answer', { kind: 'hang' }],
  ] as const)('%s is waited out', async (_, action) => {
    await world.startNotifier();
    await world.discord.faults.apply({ op: 'add', rule: { route: 'webhook.', times: 1, action } });
    const run = await world.plan();
    await shows('**Queued**');
    await vi.waitFor(
      async () => expect(await row(run)).toMatchObject({ told_state: 'queued', attempts: 0, due_at: null }),
      {
        timeout: 8000,
      },
    );
  });

  test('gone and back, the latest state is told and not those between', async () => {
    await world.startNotifier();
    const run = await running();
    await world.discord.disconnect();
    world.advance(3000);
    await world.observe(run, { progress: '1/4' });
    await world.dueNow(run);
    await vi.waitFor(async () => expect((await row(run))['attempts']).toBe(1));
    await world.observe(run, { progress: '2/4' });
    await world.observe(run, { state: 'succeeded', progress: '4/4', finishedAt: new Date() });
    await world.discord.reconnect();
    await world.dueNow(run);
    await shows('**Succeeded**');
    expect(
      world
        .message()
        .versions.map(({ content }) => content)
        .join('\n'),
    ).not.toMatch(/1\/4|2\/4/);
  });

  test('too many edits of old messages are waited out', async () => {
    await world.startNotifier();
    const run = await running();
    world.advance(61 * 60_000);
    for (const progress of ['1/9', '2/9', '3/9']) {
      world.advance(6 * 60_000);
      await world.observe(run, { progress });
      await world.dueNow(run);
      await shows(progress);
    }
    // The last of these, and two more in the same channel, use up what Discord allows.
    const path = `/channels/${world.discord.channelId}/messages/${world.message().id}`;
    for (let edit = 0; edit < 2; edit += 1) {
      expect((await world.call('PATCH', path, { content: `**other** ${edit}` })).status).toBe(200);
    }
    await finish(run);
    await vi.waitFor(async () => expect((await row(run))['attempts']).toBe(1));
    expect(world.discord.history.entries.at(-1)).toMatchObject({ code: 30_046 });
    world.advance(20_000);
    await world.dueNow(run);
    await shows('**Succeeded**');
  });

  test('a message that Discord objects to is sent without its buttons', async () => {
    await world.startNotifier();
    const answer = { status: 400, code: 50_035, message: 'Invalid Form Body' };
    await world.discord.faults.apply({
      op: 'add',
      rule: { route: 'webhook.', times: 1, action: { kind: 'answer', answer } },
    });
    await world.plan();
    await shows('**Queued**');
    expect(world.shown().components).toEqual([]);
  });

  test('neither ledger nor log ever holds a token', async () => {
    await world.startNotifier();
    const run = await running();
    await world.discord.faults.apply({ op: 'revoke-tokens' });
    await world.discord.faults.apply({
      op: 'add',
      rule: { times: 2, action: { kind: 'answer', answer: { status: 500 } } },
    });
    await finish(run);
    await vi.waitFor(async () => expect((await row(run))['attempts']).toBe(1));
    const said = `${await wholeLedger(database.db)}${world.log.join('')}`;
    expect(said).toContain(run.runId);
    expect(said).not.toContain(world.tokenOf());
    expect(said).not.toContain(world.discord.botToken);
  });
});
