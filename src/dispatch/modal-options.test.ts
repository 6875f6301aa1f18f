import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ANONYMOUS, type CommandDefinition } from '../domain/command.ts';
import { modalOptions, optionsOf, titleOf, type FormSubmission } from './modal-options.ts';

const submission = (given: Partial<FormSubmission> = {}): FormSubmission => ({
  fields: { content: 'Mend the rocket.\nSoon.' },
  interactionId: '1190000000000000001',
  principal: {
    ...ANONYMOUS,
    userId: '7',
    username: 'ada',
    globalName: 'Ada',
    guildId: '8',
    channelId: '9',
  },
  issuedAt: new Date('2026-02-03T04:05:06.789Z'),
  ...given,
});

describe('modalOptions', () => {
  test('a field called content adds the payload that the Go service’s workflows read', () => {
    const options = modalOptions(submission());
    expect(options['content']).toBe('Mend the rocket.\nSoon.');
    expect(JSON.parse(options['payload'] ?? '')).toEqual({
      stage: 'implementation',
      prompt: 'Mend the rocket.\nSoon.',
      title: 'Mend the rocket.',
      repository: '',
      issueNumber: '',
      postToGithub: false,
      runId: '1190000000000000001',
      issuedAt: '2026-02-03T04:05:06.789Z',
      guildId: '8',
      channelId: '9',
      user: { id: '7', username: 'ada', globalName: 'Ada' },
    });
  });

  test.each([{ fields: { notes: 'x' } }, { fields: { content: '' } }])(
    'adds no payload without content: %j',
    (given) => {
      expect(Object.keys(modalOptions(submission(given)))).not.toContain('payload');
    },
  );

  test('a display name that Argo cannot read does not prevent a command', () => {
    const principal = { ...ANONYMOUS, username: '{{{x}}}', globalName: '{{=env}}\u{1fae9}' };
    const payload = modalOptions(submission({ principal }))['payload'] ?? '';
    expect(payload).not.toContain('{{');
    expect(JSON.parse(payload)).toMatchObject({ user: { username: '{ { {x}}}', globalName: '{ {=env}}\ufffd' } });
  });
});

describe('titleOf', () => {
  test.each([
    ['one\ntwo', 'one'],
    ['\r\n  \n  three  \nfour', 'three'],
    ['x'.repeat(120), 'x'.repeat(120)],
    ['x'.repeat(121), `${'x'.repeat(119)}…`],
    [' \n ', ''],
  ])('%j', (prompt, title) => {
    expect(titleOf(prompt)).toBe(title);
  });

  test('is one line of at most 120 whole characters for any input', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (prompt) => {
        const title = titleOf(prompt);
        return [...title].length <= 120 && title.isWellFormed() && !/[\r\n]/.test(title);
      }),
    );
  });
});

describe('optionsOf', () => {
  const definition: CommandDefinition = {
    description: 'Ask',
    options: [],
    parameters: {},
    ephemeral: false,
    action: 'dispatch',
    configured: true,
  };
  const field = { name: 'content', label: 'What', style: 'paragraph', required: true, minLength: 10 } as const;

  test('are the fields of a form, and the payload if there is a field called content', () => {
    expect(optionsOf({ ...definition, modal: { title: 'Ask', fields: [field] } })).toEqual([
      { name: 'content', description: 'What', type: 'string', required: true, minLength: 10 },
      { name: 'payload', description: '', type: 'string', required: false },
    ]);
    const other = { ...field, name: 'notes' };
    expect(optionsOf({ ...definition, modal: { title: 'Ask', fields: [other] } }).map(({ name }) => name)).toEqual([
      'notes',
    ]);
  });
});
