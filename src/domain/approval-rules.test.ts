import { describe, expect, test } from 'vitest';
import {
  approversOf,
  askingOf,
  durationSeconds,
  isUndecidable,
  outputsOf,
  readApprovalRules,
} from './approval-rules.ts';
import type { CommandDefinition } from './command.ts';

const PREFIX = 'facteur.proompteng.ai/';
const field = (name: string, choices: readonly string[] | null = null, preset: string | null = null) => ({
  name,
  description: '',
  preset,
  choices,
});

test('without annotations: no self-approval, one approver, an optional reason, no deadline', () => {
  expect(readApprovalRules({})).toEqual({
    approvers: [],
    message: '',
    timeoutSeconds: null,
    onTimeout: 'reject',
    selfApproval: false,
    quorum: 1,
    reason: 'optional',
    channel: '',
    problem: '',
  });
});

test.each([
  ['quorum', '0'],
  ['quorum', '1.5'],
  ['self-approval', 'yes'],
  ['on-timeout', 'Approve'],
  ['approval-timeout', '2 hours'],
  ['reason', ''],
  ['channel', '#ops'],
  ['approvers', '<@&1>'],
  ['approvers', ''],
  ['approvers', ' , '],
  ['quorum', 2],
])('%s: %j is invalid, and named', (rule, value) => {
  expect(readApprovalRules({ [PREFIX + rule]: value }).problem).toBe(`invalid annotation ${PREFIX}${rule}`);
});

test.each([
  ['30m', 1800],
  ['1h30m', 5400],
  ['90', 90],
  ['2d', 172_800],
  ['0', undefined],
  ['400d', undefined],
  ['-1h', undefined],
  ['', undefined],
])('a duration %j is %j seconds', (text, seconds) => {
  expect(durationSeconds(text)).toBe(seconds);
});

test('approvers are roles, the roles of commands, and users; unknown names match nobody', () => {
  const rules = readApprovalRules({
    [`${PREFIX}approvers`]: '500000000000000001, Release user:7 nowhere,constructor 500000000000000001',
  });
  const roleMap = { plan: ['1'], release: ['500000000000000002'] };
  expect(approversOf(rules, 'plan', { commands: {}, roleMap })).toEqual({
    roles: ['500000000000000001', '500000000000000002'],
    users: ['7'],
  });
  expect(approversOf(readApprovalRules({}), 'PLAN', { commands: {}, roleMap })).toEqual({ roles: ['1'], users: [] });
  expect(approversOf(readApprovalRules({}), 'other', { commands: {}, roleMap })).toEqual({ roles: [], users: [] });
});

describe('while templates are not known yet', () => {
  const commands = { plan: {} as CommandDefinition, open: {} as CommandDefinition };
  const rules = { commands, roleMap: { plan: ['1'], release: ['2'], empty: [] }, incomplete: true } as const;
  const asked = (approvers?: string) =>
    readApprovalRules(approvers === undefined ? {} : { [`${PREFIX}approvers`]: approvers });

  test.each<[string | undefined, string, readonly string[]]>([
    [undefined, 'Plan', ['1']],
    [undefined, 'open', []],
    ['release', 'deploy', ['2']],
    ['500000000000000001 user:7', 'deploy', ['500000000000000001']],
  ])('approvers %s of /%s are known', (approvers, command, roles) => {
    expect(approversOf(asked(approvers), command, rules).roles).toEqual(roles);
  });

  test.each<[string | undefined, string]>([
    [undefined, 'deploy'],
    // Resembles /plan, whose approvers may not decide for another command.
    [undefined, 'plan!'],
    [undefined, 'empty'],
    ['plan deploy', 'plan'],
  ])('approvers %s of /%s are not, but that does not make the step undecidable', (approvers, command) => {
    expect(() => approversOf(asked(approvers), command, rules)).toThrow(
      expect.objectContaining({ code: 'commands.unread', retryable: true }),
    );
    expect(isUndecidable(asked(approvers), command, rules)).toBe(false);
  });
});

describe('how it asks', () => {
  test.each([
    [[], 'buttons'],
    [[field('d', ['YES', 'NO'])], 'pair'],
    [[field('d', ['false', 'true'])], 'pair'],
    [[field('d', ['yes', 'maybe'])], 'form'],
    [[field('d', ['yes', 'no', 'later'])], 'form'],
    [[field('d', ['yes', 'no']), field('e')], 'form'],
    [Array.from({ length: 6 }, (_, index) => field(`f${index}`)), 'too_many'],
  ])('for %j: %s', (fields, kind) => {
    expect(askingOf(fields).kind).toBe(kind);
  });
});

test('outputs are the given values, else the presets, and must be allowed', () => {
  const fields = [field('a', ['x', 'y'], 'x'), field('b')];
  expect(outputsOf(fields, { b: 'text' })).toEqual({ values: { a: 'x', b: 'text' }, faults: [] });
  expect(outputsOf(fields, { a: 'z', c: '1', b: '{{=1}}' }).faults).toEqual([
    { field: 'c', message: 'unknown output' },
    { field: 'a', message: 'must be one of x, y' },
    { field: 'b', message: 'must not contain "{{"' },
  ]);
  expect(outputsOf(fields, {}).faults).toEqual([{ field: 'b', message: 'is required' }]);
  expect(outputsOf(fields, { b: 'x'.repeat(4001) }).faults).toHaveLength(1);
  expect(Object.keys(outputsOf([field('__proto__', null, 'x')], {}).values)).toEqual(['__proto__']);
});
