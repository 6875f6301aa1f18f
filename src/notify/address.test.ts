import { describe, expect, test } from 'vitest';
import { Secret } from '../base/secret.ts';
import type { ClaimedMessage, MessageAddress } from '../ledger/messages.ts';
import { aMessage } from '../../test/support/notify.ts';
import { chooseRoute, type Circumstances } from './address.ts';

const TOKEN = new Secret('token');
const FRESH: MessageAddress = { messageId: '', tokenRefused: false, posts: 0 };
const MINUTE = 60_000;

const choose = (message: Partial<ClaimedMessage>, address: Partial<MessageAddress>, now: Partial<Circumstances>) =>
  chooseRoute(aMessage(message), { ...FRESH, ...address }, { ageMs: 0, token: TOKEN, sessionsOk: true, ...now });

describe('the best remaining route', () => {
  test.each<[string, Partial<ClaimedMessage>, Partial<MessageAddress>, Partial<Circumstances>, object]>([
    ['a fresh interaction', {}, {}, {}, { kind: 'token', token: TOKEN }],
    ['a known message', {}, { messageId: 'm' }, {}, { kind: 'token', token: TOKEN }],
    ['an expired token', {}, { messageId: 'm' }, { ageMs: 15 * MINUTE }, { kind: 'edit', messageId: 'm' }],
    ['a refused token', {}, { messageId: 'm', tokenRefused: true }, {}, { kind: 'edit', messageId: 'm' }],
    ['an unknown token', {}, { messageId: 'm' }, { token: undefined }, { kind: 'edit', messageId: 'm' }],
    ['an unknown token and an unknown message', {}, {}, { token: undefined, ageMs: 3000 }, { kind: 'post' }],
    ['a token that may still arrive', {}, {}, { token: undefined, ageMs: 2999 }, { kind: 'wait', ms: 250 }],
    [
      'a token that may still arrive, with a clock that is behind',
      {},
      {},
      { token: undefined, ageMs: -2999 },
      { kind: 'wait', ms: 250 },
    ],
    ['an unknown token, with a clock that is far behind', {}, {}, { token: undefined, ageMs: -3000 }, { kind: 'post' }],
    ['no token to wait for: it was refused', {}, { tokenRefused: true }, { token: undefined }, { kind: 'post' }],
    ['no token to wait for: the message was posted', {}, { posts: 1 }, { token: undefined }, { kind: 'post' }],
    [
      'no token to wait for: it belongs to another run',
      { interactionTaken: true },
      {},
      { token: undefined },
      { kind: 'post' },
    ],
    [
      'no token to wait for: there is no interaction',
      { interactionId: '' },
      {},
      { token: undefined },
      { kind: 'post' },
    ],
    ['a deleted message', {}, { tokenRefused: true }, {}, { kind: 'post' }],
    ['a message posted by the bot', {}, { messageId: 'n', posts: 1 }, {}, { kind: 'edit', messageId: 'n' }],
    ['a deleted message posted by the bot', {}, { posts: 1 }, {}, { kind: 'post' }],
    [
      'three deleted messages posted by the bot',
      {},
      { posts: 3 },
      {},
      { kind: 'none', reason: 'every message about this run was deleted' },
    ],
    [
      'no channel',
      { channelId: '' },
      {},
      { token: undefined, ageMs: 3000 },
      { kind: 'none', reason: 'unknown channel' },
    ],
    [
      'sessions unavailable, too early to give up on the token',
      {},
      {},
      { token: undefined, sessionsOk: false },
      { kind: 'wait', ms: 2000 },
    ],
    ['sessions unavailable for long', {}, {}, { token: undefined, sessionsOk: false, ageMs: MINUTE }, { kind: 'post' }],
    [
      'sessions unavailable, known message',
      {},
      { messageId: 'm' },
      { token: undefined, sessionsOk: false },
      { kind: 'edit', messageId: 'm' },
    ],
    ['a retry from the same interaction', { interactionTaken: true }, {}, {}, { kind: 'post' }],
    ['no interaction', { interactionId: '' }, {}, {}, { kind: 'post' }],
  ])('%s', (...[, message, address, now, route]) => {
    expect(choose(message, address, now)).toEqual(route);
  });
});

describe('an ephemeral message', () => {
  const hidden = { kind: 'none', reason: expect.stringContaining('the message is ephemeral') as string };
  test.each<[string, Partial<ClaimedMessage>, Partial<MessageAddress>, Partial<Circumstances>, object]>([
    ['is edited with the token', {}, { messageId: 'm' }, {}, { kind: 'token', token: TOKEN }],
    ['has no route if the token has expired', {}, { messageId: 'm' }, { ageMs: 15 * MINUTE }, hidden],
    ['has no route if the token was refused', {}, { messageId: 'm', tokenRefused: true }, {}, hidden],
    ['has no route if the token is unknown', {}, {}, { token: undefined, ageMs: 3000 }, hidden],
    ['waits for a token that may still arrive', {}, {}, { token: undefined, ageMs: 2999 }, { kind: 'wait', ms: 250 }],
    ['has no route if the token is unknown, for a retry', { interactionTaken: true }, {}, { token: undefined }, hidden],
    [
      'waits while sessions are unavailable',
      {},
      {},
      { token: undefined, sessionsOk: false, ageMs: 10 * MINUTE },
      { kind: 'wait', ms: 5000 },
    ],
    ['is edited with the token for a retry too', { interactionTaken: true }, {}, {}, { kind: 'token', token: TOKEN }],
  ])('%s', (...[, message, address, now, route]) => {
    expect(choose({ ...message, ephemeral: true }, address, now)).toEqual(route);
  });
});
