import { array, assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { builtinCommands } from './builtin-commands.ts';
import { findCommand, ruledName } from './command-rules.ts';
import { dnsLabel, labelValue, workflowName } from './workflow-name.ts';

const rules = { commands: builtinCommands(), roleMap: { plan: ['1'], deploy_prod: ['1'], 'deploy-test': ['1'] } };

describe('the name whose rules apply to a command', () => {
  test.each([
    ...['plan', 'PLAN', 'Plan ', ' plan', 'plan\n', '\tplan', 'plan.', '"plan"', 'plan-', 'plan_', '_plan', ':plan:'],
    ...[
      'plan\u200b',
      'pl\u200ban',
      'plan\ufe0f',
      'pl\u00adan',
      '\u202eplan',
      'ｐｌａｎ',
      'ＰＬＡＮ',
      '𝐩𝐥𝐚𝐧',
      'ⓟⓛⓐⓝ',
      'plan。',
    ],
    `plan${'_'.repeat(70)}x`,
  ])('%j counts as plan', (name) => {
    expect(ruledName(name, rules)).toBe('plan');
    expect(findCommand(rules, name)).toBe(rules.commands['plan']);
  });

  test.each([
    ['Deploy_Prod', 'deploy_prod'],
    ['deploy prod', 'deploy_prod'],
    ['deploy:test', 'deploy-test'],
    ['planb', 'planb'],
    ['plan b', 'plan b'],
    ['Undefined Name', 'Undefined Name'],
    ['constructor', 'constructor'],
    ['計画', '計画'],
    ['...', '...'],
  ])('%j counts as %j', (name, judged) => {
    expect(ruledName(name, rules)).toBe(judged);
  });

  describe('without a safe letter, it is the prefix under which the command runs', () => {
    const run = { commands: {}, roleMap: { run: ['1'], plan: ['1'] } };

    test.each(['!!!', '…', '計画', '', '-', '\u200b', 'ｏｐｓ', '_:_'])('%j counts as run', (name) => {
      expect(ruledName(name, run)).toBe('run');
    });

    test('the name that it resembles goes first', () => {
      expect(ruledName('ｐｌａｎ', run)).toBe('plan');
    });

    test('a rule without a safe letter applies to every command that runs under that prefix', () => {
      const odd = { commands: {}, roleMap: { '!!!': ['1'] } };
      expect(['!!!', '…', 'run', 'plan'].map((name) => ruledName(name, odd))).toEqual(['!!!', '!!!', '!!!', 'plan']);
    });

    test('every command that runs under the prefix of a rule has a rule', () => {
      const check = (name: string): boolean => {
        const prefix = workflowName(name, new Date(0), 'd').split('-19700101-')[0] ?? '';
        return !Object.hasOwn(run.roleMap, prefix) || Object.hasOwn(run.roleMap, ruledName(name, run));
      };
      assert(property(string({ unit: 'binary' }), check));
    });
  });

  test('two rules that look alike are distinguished by their exact names', () => {
    const alike = { commands: {}, roleMap: { a_b: ['1'], 'a:b': ['2'] } };
    expect(['a_b', 'a:b', 'A:B'].map((name) => ruledName(name, alike))).toEqual(['a_b', 'a:b', 'a:b']);
  });

  test('a name that would be called or labelled like a command counts as that command', () => {
    const pieces = array(constantFrom('plan', 'PLAN', 'p', 'lan', ' ', '-', '_', ':', '.', '\u200b', 'é', 'Ｐ'), {
      maxLength: 40,
    });
    const check = (name: string): boolean =>
      ruledName(name, rules) === 'plan' || (dnsLabel(name) !== 'plan' && labelValue(name).toLowerCase() !== 'plan');
    assert(property(pieces, (parts) => check(parts.join(''))));
    assert(property(string({ unit: 'binary' }), (text) => check(`${text}plan`) && check(`plan${text}`)));
  });
});
