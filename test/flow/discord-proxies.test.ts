import { readdirSync, readFileSync } from 'node:fs';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { CannedAnswer } from '../../sandbox/discord/faults.ts';
import { useToldWorld } from '../support/told-world.ts';

// Discord's own front and proxies of operators are between facteur and Discord. Their answers say nothing about a message.

const CASES = new URL('../cases/', import.meta.url);

interface Case {
  readonly ephemeral: boolean;
  /** Unlimited if absent. */
  readonly times?: number;
  readonly answer: CannedAnswer;
}

const readCase = (name: string) => JSON.parse(readFileSync(new URL(name, CASES), 'utf8')) as Case;
const pages = readdirSync(CASES).filter((name) => /^proxy-page-.*\.discord\.json$/.test(name));

const told = useToldWorld();
beforeEach(async () => {
  await told.world.startNotifier();
});

async function refuse(route: string, { answer, times }: Omit<Case, 'ephemeral'>): Promise<void> {
  const rule = { route, action: { kind: 'answer', answer }, ...(times === undefined ? {} : { times }) } as const;
  await told.world.discord.faults.apply({ op: 'add', rule });
}

test('the test cases exist', () => {
  expect(pages).toHaveLength(4);
});

test.each(pages)('%s: the edit is retried with the same token, and the log has the cause', async (name) => {
  const page = readCase(name);
  const run = await told.world.running({ ephemeral: page.ephemeral });
  const { id } = told.world.message();
  await refuse('webhook.message.edit', page);
  await told.world.finish(run);
  await told.world.shows('**Succeeded**');
  expect(told.world.message()).toMatchObject({ id, ephemeral: page.ephemeral });
  expect(told.world.shown().by).toBe('webhook.message.edit');
  const [line] = told.world.log.filter((text) => text.includes('message not delivered yet'));
  expect(JSON.parse(line ?? '{}')).toMatchObject({
    code: expect.stringMatching(/^discord\.(bad_answer|timeout)$/),
    error: expect.stringContaining(`HTTP ${page.answer.status}`),
  });
});

test('archived-thread-final-edit: the bot posts the end while the token is still valid', async () => {
  const archived = readCase('archived-thread-final-edit.discord.json');
  const run = await told.world.running({ ephemeral: archived.ephemeral });
  const answer = { status: archived.answer.status, code: 50_083, message: 'Thread is archived' };
  expect(JSON.parse(archived.answer.body ?? '')).toEqual({ message: answer.message, code: answer.code });
  await refuse('webhook.message.edit', archived);
  await told.world.finish(run);
  await vi.waitFor(() => expect(told.world.discord.messages()).toHaveLength(2));
  expect(told.world.discord.messages()[1]?.versions[0]).toMatchObject({
    by: 'channel.message.create',
    content: expect.stringContaining('**Succeeded**'),
  });
});

describe('a failure of the bot does not delay the answer to a command', () => {
  test.each<[string, CannedAnswer]>([
    ['its token is rejected', { status: 401, code: 0, message: '401: Unauthorized' }],
    ['all its requests are rate-limited', { status: 429, retryAfterMs: 3_600_000, scope: 'global' }],
    ['an HTML page with status 429', { status: 429, retryAfterMs: 3_600_000, body: '<html>1015</html>' }],
  ])('%s', async (_, answer) => {
    const old = await told.world.running();
    await told.world.advance(16 * 60_000);
    await refuse('channel.', { answer });
    await told.world.finish(old);
    await told.world.notToldYet();

    const run = await told.world.plan();
    await vi.waitFor(async () => expect(await told.world.row(run)).toMatchObject({ told_state: 'queued' }));
    expect(told.world.discord.messages()).toHaveLength(2);
  });

  test('an update that waits for the bot does not count as an attempt, and is sent after the wait', async () => {
    const first = await told.world.running();
    const second = await told.world.plan();
    await vi.waitFor(async () => expect(await told.world.row(second)).toMatchObject({ told_state: 'queued' }));
    await told.world.advance(16 * 60_000);
    await refuse('channel.', { times: 1, answer: { status: 429, retryAfterMs: 1500, scope: 'global' } });
    await told.world.finish(first);
    await told.world.notToldYet();
    await told.world.finish(second);
    await vi.waitFor(async () => {
      expect(await told.world.row(second)).toMatchObject({ attempts: 0, told_state: 'succeeded' });
      expect(await told.world.row(first)).toMatchObject({ told_state: 'succeeded' });
    });
    const requests = told.world.discord.state()['requests'] as Record<string, number>;
    expect(requests['channel.message.edit']).toBe(3);
    expect(told.world.log.filter((line) => line.includes('message not delivered yet'))).toHaveLength(1);
  });
});
