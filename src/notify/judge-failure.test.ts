import { describe, expect, test } from 'vitest';
import { DiscordError, type DiscordErrorCode, type DiscordErrorFacts } from '../clients/discord/errors.ts';
import { judgeFailure, type FailureFacts } from './judge-failure.ts';

const ADDRESS = { messageId: 'm', tokenRefused: false, posts: 0 };

const judge = (code: DiscordErrorCode, facts: Partial<FailureFacts> = {}, error: DiscordErrorFacts = {}) =>
  judgeFailure(new DiscordError(code, 'cannot', error), {
    kind: 'token',
    address: ADDRESS,
    ephemeral: false,
    ageMs: 60_000,
    attempts: 1,
    random: 0,
    ...facts,
  });

const reroute = (address: object) => ({ kind: 'reroute', address: { ...ADDRESS, ...address } });

describe('with the token', () => {
  test.each<[DiscordErrorCode, object]>([
    ['discord.token_expired', reroute({ tokenRefused: true })],
    ['discord.unknown_webhook', reroute({ tokenRefused: true })],
    ['discord.unknown_message', reroute({ tokenRefused: true, messageId: '' })],
    ['discord.thread_archived', reroute({ tokenRefused: true, messageId: '' })],
    ['discord.not_found', { kind: 'retry', afterMs: 500 }],
    ['discord.forbidden', { kind: 'retry', afterMs: 500 }],
    ['discord.unauthorized', { kind: 'retry', afterMs: 500 }],
    ['discord.unknown_channel', { kind: 'abandon', reason: 'cannot' }],
    ['discord.invalid', { kind: 'abandon', reason: 'cannot' }],
  ])('%s', (code, verdict) => {
    expect(judge(code)).toEqual(verdict);
  });

  test('an ephemeral message in an archived thread is retried: it has no other route', () => {
    expect(judge('discord.thread_archived', { ephemeral: true })).toEqual({ kind: 'retry', afterMs: 500 });
  });

  test('an unknown webhook is retried while the first answer may still be in flight', () => {
    expect(judge('discord.unknown_webhook', { ageMs: 14_000 })).toEqual({ kind: 'retry', afterMs: 1000 });
  });
});

describe('with the bot token', () => {
  test.each<[FailureFacts['kind'], DiscordErrorCode, object]>([
    ['edit', 'discord.unknown_message', reroute({ messageId: '' })],
    ['edit', 'discord.foreign_message', reroute({ messageId: '' })],
    ['edit', 'discord.thread_archived', reroute({ messageId: '' })],
    ['edit', 'discord.unknown_channel', { kind: 'abandon', reason: 'cannot' }],
    ['edit', 'discord.invalid', { kind: 'abandon', reason: 'cannot' }],
    ['edit', 'discord.forbidden', { kind: 'retry', afterMs: 30_000 }],
    ['post', 'discord.forbidden', { kind: 'retry', afterMs: 30_000 }],
    ['post', 'discord.unauthorized', { kind: 'retry', afterMs: 30_000 }],
    ['post', 'discord.thread_archived', { kind: 'retry', afterMs: 30_000 }],
    ['post', 'discord.unknown_channel', { kind: 'abandon', reason: 'cannot' }],
  ])('%s: %s', (kind, code, verdict) => {
    expect(judge(code, { kind })).toEqual(verdict);
  });

  test('a missing permission is retried for about a day', () => {
    let waitedMs = 0;
    let attempts = 1;
    const judgeNow = () => judge('discord.forbidden', { kind: 'edit', attempts, ageMs: waitedMs, random: 0.5 });
    for (let verdict = judgeNow(); verdict.kind === 'retry'; verdict = judgeNow()) {
      waitedMs += verdict.afterMs;
      attempts += 1;
    }
    expect(waitedMs / 3_600_000).toBeGreaterThan(18);
    expect(waitedMs / 3_600_000).toBeLessThan(30);
  });

  test('attempts during an outage do not shorten that day', () => {
    expect(judge('discord.forbidden', { kind: 'post', attempts: 100 })).toMatchObject({ kind: 'retry' });
  });
});

describe('temporary failures are always retried', () => {
  test.each<[DiscordErrorCode, DiscordErrorFacts, number, number]>([
    ['discord.unavailable', {}, 1, 500],
    ['discord.timeout', {}, 1000, 150_000],
    ['discord.connection', {}, 3, 2000],
    ['discord.bad_answer', {}, 1, 500],
    ['discord.rate_limited', { retryAfterMs: 65_000 }, 1, 65_000],
    ['discord.rate_limited', {}, 1, 500],
    ['discord.edit_limit', { retryAfterMs: 20_000 }, 1, 20_000],
    ['discord.edit_limit', {}, 1, 60_000],
  ])('%s %j', (...[code, error, attempts, afterMs]) => {
    for (const kind of ['token', 'edit', 'post'] as const) {
      expect(judge(code, { kind, attempts }, error)).toEqual({ kind: 'retry', afterMs });
    }
  });
});
