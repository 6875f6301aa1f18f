import { expect, test } from 'vitest';
import { readApprovalRules } from '../domain/approval-rules.ts';
import { renderAsk } from './render-ask.ts';

test.each(['', 'invalid'])('stays within Discord’s limit with every part at its longest (problem: %j)', (problem) => {
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

test('does not mention an approver that is not an id: Discord would reject it', () => {
  const ask = {
    ...{ runId: '00000000-0000-8000-8000-000000000000', key: '0'.repeat(16), node: 'approve' },
    ...{ verdict: null, decidedBy: '', problem: '', command: 'deploy', expiresAt: null, fence: 1 },
    ...{ channelId: '1', messageId: '', userId: '', ageMs: 0 },
    state: 'waiting',
    votes: {},
    rules: { ...readApprovalRules({}), timeoutOutputs: {} },
  } as const;
  const body = renderAsk(ask, { roles: ['ops'], users: ['ada', '200000000000000002'] });
  expect(body.content).toMatch(/^<@200000000000000002>\n/);
  expect(body.allowed_mentions).toEqual({ parse: [], roles: [], users: ['200000000000000002'] });
});
