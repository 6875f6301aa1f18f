import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { emptyLedger, wholeLedger } from '../support/ledger.ts';
import { startToldWorld, type ToldWorld } from '../support/told-world.ts';

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

describe('when the message cannot be edited', () => {
  test('deleted: the next state is a new message, which is changed from then on', async () => {
    await world.startNotifier();
    const run = await world.running();
    await world.discord.faults.apply({
      op: 'delete-message',
      channelId: world.message().channelId,
      id: world.message().id,
    });
    await world.rest();
    await world.observe(run, { progress: '2/4' });
    await world.told(run, '2/4');
    expect(world.shown().by).toBe('channel.message.create');
    await world.finish(run, 'exit code 1');
    await world.shows('**Failed**');
    expect(world.shown().by).toBe('channel.message.edit');
  });

  test('a new message is posted once, though its answer was lost', async () => {
    await world.startNotifier();
    const run = await world.running();
    const { channelId, id } = world.message();
    await world.discord.faults.apply({ op: 'delete-message', channelId, id });
    const action = { kind: 'commit-then-reset' } as const;
    await world.discord.faults.apply({ op: 'add', rule: { route: 'channel.message.create', times: 1, action } });
    await world.finish(run);
    await world.notToldYet();
    await world.advance(1000);
    await vi.waitFor(async () => expect(await world.row(run)).toMatchObject({ posts: 1, due_at: null }));
    expect(world.shown().content).toContain('**Succeeded**');
  });

  test.each([
    ['while the token lives', 0],
    ['after its time', 16 * 60_000],
  ])('in a closed thread a new message opens it again, %s', async (_, age) => {
    await world.startNotifier();
    const run = await world.running();
    const { channelId } = world.message();
    await world.advance(age);
    await world.discord.faults.apply({ op: 'channel', id: channelId, rights: { archived: true } });
    await world.finish(run);
    await vi.waitFor(() => expect(world.discord.messages().at(-1)?.versions[0]?.content).toContain('**Succeeded**'));
  });

  test('in a locked thread, a new message is tried, and its refusal waited out', async () => {
    await world.startNotifier();
    const run = await world.running();
    const { channelId } = world.message();
    await world.discord.faults.apply({ op: 'channel', id: channelId, rights: { locked: true } });
    await world.finish(run);
    await vi.waitFor(async () => expect(await world.row(run)).toMatchObject({ attempts: 1, message_id: '' }));
    await world.discord.faults.apply({ op: 'channel', id: channelId });
    await world.advance(60_000);
    await vi.waitFor(() => expect(world.discord.messages().at(-1)?.versions[0]?.content).toContain('**Succeeded**'));
  });

  test('what only one person may see waits until its thread is opened again', async () => {
    await world.startNotifier();
    const run = await world.running({ ephemeral: true });
    const { channelId } = world.message();
    await world.discord.faults.apply({ op: 'channel', id: channelId, rights: { archived: true } });
    await world.finish(run);
    await world.notToldYet();
    await world.discord.faults.apply({ op: 'channel', id: channelId });
    await world.advance(1000);
    await world.shows('**Succeeded**');
    expect(world.message()).toMatchObject({ channelId, ephemeral: true });
  });

  test('without access the bot comes back now and then, and the run goes on', async () => {
    await world.startNotifier();
    const run = await world.running();
    const { channelId } = world.message();
    await world.advance(16 * 60_000);
    await world.discord.faults.apply({ op: 'channel', id: channelId, rights: { view: false } });
    await world.finish(run);
    await vi.waitFor(async () => expect((await world.row(run))['attempts']).toBe(1));
    expect(await world.dueInMs(run)).toBeGreaterThan(20_000);
    const { rows } = await database.db.query({ text: 'SELECT state FROM facteur.runs' });
    expect(rows).toEqual([{ state: 'succeeded' }]);
    await world.discord.faults.apply({ op: 'channel', id: channelId });
    await world.advance(60_000);
    await world.shows('**Succeeded**');
  });

  test('without a channel nothing can be told: noted, logged, and the run goes on', async () => {
    await world.startNotifier();
    const run = await world.running();
    await world.advance(16 * 60_000);
    await world.discord.faults.apply({ op: 'delete-channel', id: world.message().channelId });
    await world.finish(run);
    await vi.waitFor(async () => expect((await world.row(run))['abandoned']).toContain('Unknown Channel'));
    expect(await world.row(run)).toMatchObject({ due_at: null, told_state: 'running' });
    expect(world.log.filter((line) => line.includes('message cannot be delivered'))).toHaveLength(1);
    const { rows } = await database.db.query({
      text: `SELECT 1 FROM codex_kb.run_events WHERE event_type = 'message.abandoned'`,
    });
    expect(rows).toHaveLength(1);
  });

  test('a message for one person says its last word in time, and nothing is ever shown to others', async () => {
    await world.startNotifier();
    const run = await world.running({ ephemeral: true });
    expect(await world.dueInMs(run)).toBeGreaterThan(13 * 60_000);
    await world.advance(14 * 60_000);
    await world.told(run, 'can no longer be updated');
    expect((await world.row(run))['due_at']).toBeNull();
    await world.advance(2 * 60_000);
    await world.finish(run);
    await vi.waitFor(async () => expect((await world.row(run))['abandoned']).toContain('the message is ephemeral'));
    expect(world.message()).toMatchObject({ ephemeral: true });
  });
});

describe('when Discord is not well', () => {
  test.each([
    ['429', { kind: 'answer', answer: { status: 429, retryAfterMs: 1000 } }],
    ['a global 429', { kind: 'answer', answer: { status: 429, retryAfterMs: 1000, scope: 'global' } }],
    ['503', { kind: 'answer', answer: { status: 503 } }],
    ['a proxy’s page', { kind: 'answer', answer: { status: 200, body: '<html>' } }],
    ['something else than a message', { kind: 'answer', answer: { status: 200, body: '{"ok":true}' } }],
    ['a reset', { kind: 'reset' }],
    ['an answer that is lost', { kind: 'commit-then-reset' }],
    ['no answer', { kind: 'hang' }],
  ] as const)('%s is waited out', async (_, action) => {
    await world.startNotifier(action.kind === 'hang' ? { timeoutMs: 500 } : {});
    await world.discord.faults.apply({ op: 'add', rule: { route: 'webhook.', times: 1, action } });
    const run = await world.plan();
    await world.shows('**Queued**');
    await vi.waitFor(async () =>
      expect(await world.row(run)).toMatchObject({ told_state: 'queued', attempts: 0, due_at: null }),
    );
  });

  test('gone and back, only the latest state is sent', async () => {
    await world.startNotifier();
    const run = await world.running();
    await world.discord.disconnect();
    await world.advance(3000);
    await world.observe(run, { progress: '1/4' });
    await world.notToldYet();
    await world.observe(run, { progress: '2/4' });
    await world.observe(run, { state: 'succeeded', progress: '4/4', finishedAt: new Date() });
    await world.discord.reconnect();
    await world.advance(10_000);
    await world.shows('**Succeeded**');
    expect(
      world
        .message()
        .versions.map(({ content }) => content)
        .join('\n'),
    ).not.toMatch(/1\/4|2\/4/);
  });

  test('too many edits of old messages are waited out', async () => {
    await world.startNotifier();
    const run = await world.running();
    await world.advance(61 * 60_000);
    for (const progress of ['1/9', '2/9', '3/9']) {
      await world.advance(6 * 60_000);
      await world.observe(run, { progress });
      await world.told(run, progress);
    }
    // The last of these, and two more in the same channel, use up what Discord allows.
    const path = `/channels/${world.discord.channelId}/messages/${world.message().id}`;
    for (let edit = 0; edit < 2; edit += 1) {
      expect((await world.call('PATCH', path, { content: `**other** ${edit}` })).status).toBe(200);
    }
    await world.finish(run);
    await vi.waitFor(async () => expect((await world.row(run))['attempts']).toBe(1));
    expect(world.discord.history.entries.at(-1)).toMatchObject({ code: 30_046 });
    await world.advance(20_000);
    await world.shows('**Succeeded**');
  });

  test('a message that Discord objects to is sent without its buttons', async () => {
    await world.startNotifier();
    const answer = { status: 400, code: 50_035, message: 'Invalid Form Body' };
    await world.discord.faults.apply({
      op: 'add',
      rule: { route: 'webhook.', times: 1, action: { kind: 'answer', answer } },
    });
    await world.plan();
    await world.shows('**Queued**');
    expect(world.shown().components).toEqual([]);
  });

  test('neither ledger nor log ever holds a token', async () => {
    await world.startNotifier();
    const run = await world.running();
    await world.discord.faults.apply({ op: 'revoke-tokens' });
    await world.discord.faults.apply({
      op: 'add',
      rule: { times: 2, action: { kind: 'answer', answer: { status: 500 } } },
    });
    await world.finish(run);
    await world.notToldYet();
    const said = `${await wholeLedger(database.db)}${world.log.join('')}`;
    expect(said).toContain(run.runId);
    expect(said).not.toContain(world.tokenOf());
    expect(said).not.toContain(world.discord.botToken);
  });
});
