import { describe, expect, test, vi } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { createDiscordClient } from '../../src/clients/discord/client.ts';
import { claimDueMessages, MESSAGE_CLAIM_SECONDS } from '../../src/ledger/messages.ts';
import { tell } from '../../src/notify/tell.ts';
import { wholeLedger } from '../support/ledger.ts';
import { useToldWorld } from '../support/told-world.ts';

const told = useToldWorld();

/** Deletes the run's message, and loses the response to the post of the next one. */
async function loseNextPost(): Promise<void> {
  const { channelId, id } = told.world.message();
  await told.world.discord.faults.apply({ op: 'delete-message', channelId, id });
  const action = { kind: 'commit-then-reset' } as const;
  await told.world.discord.faults.apply({ op: 'add', rule: { route: 'channel.message.create', times: 1, action } });
}

describe('when the message cannot be edited', () => {
  test('because it was deleted: the next state is a new message, which is edited from then on', async () => {
    await told.world.startNotifier();
    const run = await told.world.running();
    await told.world.discord.faults.apply({
      op: 'delete-message',
      channelId: told.world.message().channelId,
      id: told.world.message().id,
    });
    await told.world.rest();
    await told.world.observe(run, { progress: '2/4' });
    await told.world.told(run, '2/4');
    expect(told.world.shown().by).toBe('channel.message.create');
    await told.world.finish(run, 'exit code 1');
    await told.world.shows('**Failed**');
    expect(told.world.shown().by).toBe('channel.message.edit');
  });

  test('a new message is posted once, even if the response was lost', async () => {
    await told.world.startNotifier();
    const run = await told.world.running();
    await loseNextPost();
    await told.world.finish(run);
    await told.world.notToldYet();
    await told.world.advance(1000);
    await vi.waitFor(async () => expect(await told.world.row(run)).toMatchObject({ posts: 1, due_at: null }));
    expect(told.world.shown().content).toContain('**Succeeded**');
  });

  test('a post whose response was lost is edited if the run has changed in the meantime', async () => {
    await told.world.startNotifier();
    const run = await told.world.running();
    await loseNextPost();
    await told.world.rest();
    await told.world.observe(run, { progress: '2/4' });
    await told.world.notToldYet();
    await told.world.finish(run);
    await vi.waitFor(async () => expect(await told.world.row(run)).toMatchObject({ posts: 1 }));
    await told.world.rest();
    await told.world.told(run, '**Succeeded**');
    expect(told.world.message().versions.map(({ by }) => by)).toEqual([
      'channel.message.create',
      'channel.message.edit',
    ]);
    expect(await told.world.row(run)).toMatchObject({ posts: 1, due_at: null, told_state: 'succeeded' });
  });

  test('a post of a process that died before recording it is edited, too', async () => {
    const first = await told.world.startNotifier();
    const run = await told.world.running();
    const { channelId, id } = told.world.message();
    await first.stop();
    await told.world.discord.faults.apply({ op: 'delete-message', channelId, id });
    await told.world.observe(run, { progress: '2/4' });
    await told.world.rest();
    const { messages } = await claimDueMessages(told.db, 1);
    const client = createDiscordClient({
      ...told.world.discord,
      botToken: new Secret(told.world.discord.botToken),
      version: '0.0.0',
    });
    await tell(messages[0]!, {
      discord: client,
      sessions: told.world.sessions,
      random: () => 0,
      maxActive: undefined,
      uiUrl: undefined,
      reviewed: false,
    });
    await client.close();
    expect(told.world.shown().content).toContain('2/4');
    await told.world.finish(run);
    await told.world.startNotifier();
    await told.world.advance(MESSAGE_CLAIM_SECONDS * 1000);
    await vi.waitFor(async () => expect(await told.world.row(run)).toMatchObject({ posts: 1 }));
    await told.world.rest();
    await told.world.shows('**Succeeded**');
  });

  test.each([
    ['while the token is valid', 0],
    ['after the token has expired', 16 * 60_000],
  ])('in an archived thread, a new message reopens it, %s', async (_, age) => {
    await told.world.startNotifier();
    const run = await told.world.running();
    const { channelId } = told.world.message();
    await told.world.advance(age);
    await told.world.discord.faults.apply({ op: 'channel', id: channelId, rights: { archived: true } });
    await told.world.finish(run);
    await vi.waitFor(() =>
      expect(told.world.discord.messages().at(-1)?.versions[0]?.content).toContain('**Succeeded**'),
    );
  });

  test('in a locked thread, a new message is retried until it is allowed', async () => {
    await told.world.startNotifier();
    const run = await told.world.running();
    const { channelId } = told.world.message();
    await told.world.discord.faults.apply({ op: 'channel', id: channelId, rights: { locked: true } });
    await told.world.finish(run);
    await vi.waitFor(async () => expect(await told.world.row(run)).toMatchObject({ attempts: 1, message_id: '' }));
    await told.world.discord.faults.apply({ op: 'channel', id: channelId });
    await told.world.advance(60_000);
    await vi.waitFor(() =>
      expect(told.world.discord.messages().at(-1)?.versions[0]?.content).toContain('**Succeeded**'),
    );
  });

  test('an ephemeral message waits until its thread is reopened', async () => {
    await told.world.startNotifier();
    const run = await told.world.running({ ephemeral: true });
    const { channelId } = told.world.message();
    await told.world.discord.faults.apply({ op: 'channel', id: channelId, rights: { archived: true } });
    await told.world.finish(run);
    await told.world.notToldYet();
    await told.world.discord.faults.apply({ op: 'channel', id: channelId });
    await told.world.advance(1000);
    await told.world.shows('**Succeeded**');
    expect(told.world.message()).toMatchObject({ channelId, ephemeral: true });
  });

  test('without access, the bot retries later, and the run continues', async () => {
    await told.world.startNotifier();
    const run = await told.world.running();
    const { channelId } = told.world.message();
    await told.world.advance(16 * 60_000);
    await told.world.discord.faults.apply({ op: 'channel', id: channelId, rights: { view: false } });
    await told.world.finish(run);
    await vi.waitFor(async () => expect((await told.world.row(run))['attempts']).toBe(1));
    expect(await told.world.dueInMs(run)).toBeGreaterThan(20_000);
    const { rows } = await told.db.query({ text: 'SELECT state FROM facteur.runs' });
    expect(rows).toEqual([{ state: 'succeeded' }]);
    await told.world.discord.faults.apply({ op: 'channel', id: channelId });
    await told.world.advance(60_000);
    await told.world.shows('**Succeeded**');
  });

  test('without a channel, the message is abandoned, which is recorded and logged', async () => {
    await told.world.startNotifier();
    const run = await told.world.running();
    await told.world.advance(16 * 60_000);
    await told.world.discord.faults.apply({ op: 'delete-channel', id: told.world.message().channelId });
    await told.world.finish(run);
    await vi.waitFor(async () => expect((await told.world.row(run))['abandoned']).toContain('Unknown Channel'));
    expect(await told.world.row(run)).toMatchObject({ due_at: null, told_state: 'running' });
    expect(told.world.log.filter((line) => line.includes('message cannot be delivered'))).toHaveLength(1);
    const { rows } = await told.db.query({
      text: `SELECT 1 FROM codex_kb.run_events WHERE event_type = 'message.abandoned'`,
    });
    expect(rows).toHaveLength(1);
  });

  test('an ephemeral message gets its last update in time, and nothing is ever shown to others', async () => {
    await told.world.startNotifier();
    const run = await told.world.running({ ephemeral: true });
    expect(await told.world.dueInMs(run)).toBeGreaterThan(13 * 60_000);
    await told.world.advance(14 * 60_000);
    await told.world.told(run, 'can no longer be updated');
    expect((await told.world.row(run))['due_at']).toBeNull();
    await told.world.advance(2 * 60_000);
    await told.world.finish(run);
    await vi.waitFor(async () =>
      expect((await told.world.row(run))['abandoned']).toContain('the message is ephemeral'),
    );
    expect(told.world.message()).toMatchObject({ ephemeral: true });
  });

  test('the age of the token counts from its interaction, however late the run was recorded', async () => {
    await told.world.startNotifier();
    const run = await told.world.running({ ephemeral: true });
    const text = `UPDATE facteur.messages SET created_at = created_at + interval '5 minutes'`;
    await told.db.query({ text });
    await told.world.advance(14 * 60_000);
    await told.world.told(run, 'can no longer be updated');
    expect(told.world.shown().by).toBe('webhook.message.edit');
  });
});

describe('when Discord fails', () => {
  test.each([
    ['429', { kind: 'answer', answer: { status: 429, retryAfterMs: 1000 } }],
    ['a global 429', { kind: 'answer', answer: { status: 429, retryAfterMs: 1000, scope: 'global' } }],
    ['503', { kind: 'answer', answer: { status: 503 } }],
    ['a page of a proxy', { kind: 'answer', answer: { status: 200, body: '<html>' } }],
    ['an answer that is not a message', { kind: 'answer', answer: { status: 200, body: '{"ok":true}' } }],
    ['a reset', { kind: 'reset' }],
    ['a lost response', { kind: 'commit-then-reset' }],
    ['no answer', { kind: 'hang' }],
  ] as const)('%s is retried', async (_, action) => {
    await told.world.startNotifier(action.kind === 'hang' ? { timeoutMs: 500 } : {});
    await told.world.discord.faults.apply({ op: 'add', rule: { route: 'webhook.', times: 1, action } });
    const run = await told.world.plan();
    await told.world.shows('**Queued**');
    await vi.waitFor(async () =>
      expect(await told.world.row(run)).toMatchObject({ told_state: 'queued', attempts: 0, due_at: null }),
    );
  });

  test('after an outage, only the latest state is sent', async () => {
    await told.world.startNotifier();
    const run = await told.world.running();
    await told.world.discord.disconnect();
    await told.world.advance(3000);
    await told.world.observe(run, { progress: '1/4' });
    await told.world.notToldYet();
    await told.world.observe(run, { progress: '2/4' });
    await told.world.observe(run, { state: 'succeeded', progress: '4/4', finishedAt: new Date() });
    await told.world.discord.reconnect();
    await told.world.advance(10_000);
    await told.world.shows('**Succeeded**');
    expect(
      told.world
        .message()
        .versions.map(({ content }) => content)
        .join('\n'),
    ).not.toMatch(/1\/4|2\/4/);
  });

  test('at the limit for edits of old messages, the edit is retried later', async () => {
    await told.world.startNotifier();
    const run = await told.world.running();
    await told.world.advance(61 * 60_000);
    for (const progress of ['1/9', '2/9', '3/9']) {
      await told.world.advance(6 * 60_000);
      await told.world.observe(run, { progress });
      await told.world.told(run, progress);
    }
    // The last of these, and two more in the same channel, use up what Discord allows.
    const path = `/channels/${told.world.discord.channelId}/messages/${told.world.message().id}`;
    for (let edit = 0; edit < 2; edit += 1) {
      expect((await told.world.call('PATCH', path, { content: `**other** ${edit}` })).status).toBe(200);
    }
    await told.world.finish(run);
    await vi.waitFor(async () => expect((await told.world.row(run))['attempts']).toBe(1));
    expect(told.world.discord.history.entries.at(-1)).toMatchObject({ code: 30_046 });
    await told.world.advance(20_000);
    await told.world.shows('**Succeeded**');
  });

  test('a message that Discord rejects is sent without its buttons', async () => {
    await told.world.startNotifier();
    const answer = { status: 400, code: 50_035, message: 'Invalid Form Body' };
    await told.world.discord.faults.apply({
      op: 'add',
      rule: { route: 'webhook.', times: 1, action: { kind: 'answer', answer } },
    });
    await told.world.plan();
    await told.world.shows('**Queued**');
    expect(told.world.shown().components).toEqual([]);
  });

  test('neither the ledger nor the log contains a token', async () => {
    await told.world.startNotifier();
    const run = await told.world.running();
    await told.world.discord.faults.apply({ op: 'revoke-tokens' });
    await told.world.discord.faults.apply({
      op: 'add',
      rule: { times: 2, action: { kind: 'answer', answer: { status: 500 } } },
    });
    await told.world.finish(run);
    await told.world.notToldYet();
    const said = `${await wholeLedger(told.db)}${told.world.log.join('')}`;
    expect(said).toContain(run.runId);
    expect(said).not.toContain(told.world.tokenOf());
    expect(said).not.toContain(told.world.discord.botToken);
  });
});
