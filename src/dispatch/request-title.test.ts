import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { builtinCommands } from '../domain/builtin-commands.ts';
import type { CommandDefinition } from '../domain/command.ts';
import { CodexTaskSchema } from '../proto/proompteng/froussard/v1/codex_task_pb.ts';
import { codexTitle, commandTitle } from './request-title.ts';

const { plan, review } = builtinCommands();
const FORM: CommandDefinition = {
  ...plan!,
  options: [],
  modal: { title: 'Ask', fields: [{ name: 'content', label: 'What', style: 'paragraph', required: true }] },
};

const option = { description: '', type: 'string', required: true } as const;
const ROTATE: CommandDefinition = {
  ...plan!,
  options: [
    { ...option, name: 'api_token' },
    { ...option, name: 'key', parameter: 'clientSecret' },
    { ...option, name: 'host', required: false },
  ],
};

const CHOICE: CommandDefinition = {
  ...plan!,
  options: [
    { ...option, name: 'host', choices: [{ name: 'db two', value: '#0123' }], meanings: { '#0123': ' db two ' } },
  ],
};

test.each<[string, Record<string, string>, CommandDefinition | undefined, string]>([
  ['the required option', { project: 'facteur', objective: 'Ship the sandbox' }, plan, 'Ship the sandbox'],
  ['the configured option first', { project: 'facteur', artifact: 'PR 12' }, review, 'PR 12'],
  ['another option if that one is empty', { project: 'facteur', artifact: ' ' }, review, 'facteur'],
  ['the text of a form, not its JSON', { payload: '{}', content: '\n Fix it \nsoon' }, FORM, 'Fix it'],
  ['any option of an undefined command', { payload: '{}', content: 'x' }, undefined, 'x'],
  ['nothing without options', {}, plan, ''],
  ['no credential with a known format', { objective: `use ghp_${'a'.repeat(36)}` }, plan, 'use ***'],
  ['no credential in a URL', { objective: 'use postgres://me:secret@db/x' }, plan, 'use postgres://me:***@db/x'],
  ['no option with a secret name', { api_token: 'abc', key: 'def', host: 'db' }, ROTATE, 'db'],
  ['a secret if the command asks for it', { api_token: 'abc' }, { ...ROTATE, titleOption: 'api_token' }, 'abc'],
  ['no secret of an undefined command', { password: 'abc', host: 'db' }, undefined, 'db'],
  ['no inherited property', {}, { ...plan!, titleOption: 'constructor' }, ''],
  ['the meaning of a choice that Discord cannot list', { host: '#0123' }, CHOICE, 'db two'],
  ['text that Postgres can store', { objective: 'a\u0000b\ud800' }, plan, 'ab'],
  ['one line of 120 characters', { objective: '👩'.repeat(300) }, plan, `${'👩'.repeat(119)}…`],
])('a title is %s', (_what, options, definition, title) => {
  expect(commandTitle(options, definition)).toBe(title);
});

test('the title of a Codex task is its issue', () => {
  const task = create(CodexTaskSchema, { repository: 'proompteng/lab', issueNumber: 12n, issueTitle: 'Ship it' });
  expect(codexTitle(task)).toBe('proompteng/lab#12: Ship it');
  expect(codexTitle(create(CodexTaskSchema, { repository: 'proompteng/lab' }))).toBe('proompteng/lab');
});
