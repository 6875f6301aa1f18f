import { expect, test } from 'vitest';
import { readApprovalRules } from '../domain/approval-rules.ts';
import { renderAsk } from './render-ask.ts';

test.each(['', 'invalid'])('with every part at its longest, Discord accepts the message', (problem) => {
  const ids = Array.from({ length: 30 }, (_, index) => String(10n ** 19n + BigInt(index)));
  const rules = { ...readApprovalRules({}), message: 'm'.repeat(1000), quorum: 99, timeoutOutputs: {}, problem };
  const body = renderAsk(
    {
      runId: '00000000-0000-8000-8000-000000000000',
      key: '0'.repeat(16),
      node: 'n'.repeat(255),
      rules,
      state: 'waiting',
      votes: {},
      verdict: null,
      decidedBy: '',
      problem: '',
      command: 'c'.repeat(100),
      expiresAt: new Date(0xe8_d4_a5_0f_ff),
      fence: 1,
      channelId: ids[0] ?? '',
      messageId: '',
      userId: ids[0] ?? '',
      ageMs: 0,
    },
    { roles: ids, users: ids },
  );
  expect(body.content).toContain('mmm');
  expect(body.content.length).toBeLessThanOrEqual(2000);
});
