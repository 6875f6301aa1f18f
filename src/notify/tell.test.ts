import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aMessage } from '../../test/support/notify.ts';
import { applyMessage, NOTHING } from '../../sandbox/discord/message-rules.ts';
import { RUN_STATES } from '../domain/run-state.ts';
import { pingBody } from './tell.ts';

const nasty = fc.oneof(
  fc.constantFrom('@everyone <@1> <@&2>', '`` ` ``` @here', '[x](https://evil.example)', '\ud800', ''),
  fc.string({ unit: 'binary', maxLength: 3000 }),
);
const id = fc.constantFrom('200000000000000001', '500000000000000001');

test('for any content of a run, Discord accepts the reply, and it mentions only the ids that it names', () => {
  const ping = fc.oneof(
    fc.constant('author'),
    fc.array(fc.oneof(id, nasty), { maxLength: 3 }).map((ids) => `roles:${ids.join(',')}`),
  );
  const run = fc.record({
    command: nasty,
    title: nasty,
    userId: fc.oneof(id, nasty),
    state: fc.constantFrom(...RUN_STATES),
    finishedAt: fc.option(fc.date({ noInvalidDate: true }), { nil: null }),
  });
  fc.assert(
    fc.property(ping, run, (wanted, fields) => {
      const body = pingBody(aMessage({ ping: wanted }, fields), { messageId: '3', tokenRefused: false, posts: 0 });
      if (body === undefined) {
        return;
      }
      expect(() => applyMessage(NOTHING, body)).not.toThrow();
      expect(body.content.length).toBeLessThanOrEqual(400);
      const mentions = body.content.replaceAll(/`[^`\n]+`/g, '').match(/@\S*/g) ?? [];
      expect(body.allowed_mentions.parse).toEqual([]);
      const { users = [], roles = [] } = body.allowed_mentions as { users?: string[]; roles?: string[] };
      expect(mentions).toEqual([...users.map((user) => `@${user}>`), ...roles.map((role) => `@&${role}>`)]);
    }),
  );
});
