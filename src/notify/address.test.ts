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

describe('the best way that is left', () => {
  test.each<[string, Partial<ClaimedMessage>, Partial<MessageAddress>, Partial<Circumstances>, object]>([
    ['a fresh interaction', {}, {}, {}, { kind: 'token', token: TOKEN }],
    ['its message is known', {}, { messageId: 'm' }, {}, { kind: 'token', token: TOKEN }],
    ['the token has run out', {}, { messageId: 'm' }, { ageMs: 15 * MINUTE }, { kind: 'edit', messageId: 'm' }],
    ['the token was refused', {}, { messageId: 'm', tokenRefused: true }, {}, { kind: 'edit', messageId: 'm' }],
    ['nobody knows the token', {}, { messageId: 'm' }, { token: undefined }, { kind: 'edit', messageId: 'm' }],
    ['nor the message', {}, {}, { token: undefined, ageMs: 3000 }, { kind: 'post' }],
    ['a token that may still be on its way', {}, {}, { token: undefined, ageMs: 2999 }, { kind: 'wait', ms: 250 }],
    ['the same by a clock that is behind', {}, {}, { token: undefined, ageMs: -2999 }, { kind: 'wait', ms: 250 }],
    ['or far behind', {}, {}, { token: undefined, ageMs: -3000 }, { kind: 'post' }],
    ['no token to wait for: refused', {}, { tokenRefused: true }, { token: undefined }, { kind: 'post' }],
    ['or of a message that was posted', {}, { posts: 1 }, { token: undefined }, { kind: 'post' }],
    ['or of another run', { interactionTaken: true }, {}, { token: undefined }, { kind: 'post' }],
    ['or none at all', { interactionId: '' }, {}, { token: undefined }, { kind: 'post' }],
    ['the message was deleted', {}, { tokenRefused: true }, {}, { kind: 'post' }],
    ['the bot has posted one', {}, { messageId: 'n', posts: 1 }, {}, { kind: 'edit', messageId: 'n' }],
    ['that was deleted too', {}, { posts: 1 }, {}, { kind: 'post' }],
    [
      'and so was every other',
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
      'sessions away, too early to give the token up',
      {},
      {},
      { token: undefined, sessionsOk: false },
      { kind: 'wait', ms: 2000 },
    ],
    ['sessions away for long', {}, {}, { token: undefined, sessionsOk: false, ageMs: MINUTE }, { kind: 'post' }],
    [
      'sessions away, message known',
      {},
      { messageId: 'm' },
      { token: undefined, sessionsOk: false },
      { kind: 'edit', messageId: 'm' },
    ],
    ['a retry of the same interaction', { interactionTaken: true }, {}, {}, { kind: 'post' }],
    ['no interaction', { interactionId: '' }, {}, {}, { kind: 'post' }],
  ])('%s', (...[, message, address, now, route]) => {
    expect(choose(message, address, now)).toEqual(route);
  });
});

describe('what only one person may see', () => {
  const hidden = { kind: 'none', reason: expect.stringContaining('the message is ephemeral') as string };
  test.each<[string, Partial<ClaimedMessage>, Partial<MessageAddress>, Partial<Circumstances>, object]>([
    ['is changed by the token', {}, { messageId: 'm' }, {}, { kind: 'token', token: TOKEN }],
    ['and by nothing else when it has run out', {}, { messageId: 'm' }, { ageMs: 15 * MINUTE }, hidden],
    ['or is refused', {}, { messageId: 'm', tokenRefused: true }, {}, hidden],
    ['or not known', {}, {}, { token: undefined, ageMs: 3000 }, hidden],
    ['unless it may still be on its way', {}, {}, { token: undefined, ageMs: 2999 }, { kind: 'wait', ms: 250 }],
    ['or not any more, for a retry', { interactionTaken: true }, {}, { token: undefined }, hidden],
    [
      'or unless sessions are away, and it may come to light',
      {},
      {},
      { token: undefined, sessionsOk: false, ageMs: 10 * MINUTE },
      { kind: 'wait', ms: 5000 },
    ],
    ['is shared by a retry, which has no other', { interactionTaken: true }, {}, {}, { kind: 'token', token: TOKEN }],
  ])('%s', (...[, message, address, now, route]) => {
    expect(choose({ ...message, ephemeral: true }, address, now)).toEqual(route);
  });
});
