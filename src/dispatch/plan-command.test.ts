import { describe, expect, test } from 'vitest';
import { ANONYMOUS, type Command, type CommandDefinition } from '../domain/command.ts';
import { Refusal } from '../domain/refusal.ts';
import { planCommand } from './plan-command.ts';

const argo = {
  namespace: 'argo',
  workflowTemplate: 'facteur-dispatch',
  serviceAccount: 'facteur',
  parameters: { environment: 'staging', project: 'none' },
};

const command = (given: Partial<Command>): Command => ({
  door: 'http',
  deliveryId: 'd-1',
  interactionId: '',
  name: 'implement',
  options: {},
  principal: ANONYMOUS,
  correlationId: '',
  traceparent: '',
  traceId: '',
  ...given,
});

const definition: CommandDefinition = {
  description: 'Implement a change',
  options: [{ name: 'project', description: 'Project', type: 'string', required: true }],
  parameters: { environment: 'production' },
  ephemeral: false,
  action: 'dispatch',
  configured: true,
};

function refusalOf(work: () => unknown): Refusal {
  try {
    work();
  } catch (error) {
    if (error instanceof Refusal) {
      return error;
    }
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('planCommand', () => {
  test('options override the definition, which overrides the defaults; empty ones are omitted', () => {
    const plan = planCommand(
      command({ options: { project: 'lab', notes: '' } }),
      { ...definition, configured: false },
      argo,
    );
    expect(plan.parameters).toEqual({ environment: 'production', project: 'lab', action: 'implement' });
    expect(plan).toMatchObject({ namespace: 'argo', workflowTemplate: 'facteur-dispatch', serviceAccount: 'facteur' });
    expect(plan.labels).toEqual({ 'facteur.proompteng.ai/command': 'implement' });
  });

  test('an unknown command runs on the default template with all its options', () => {
    const plan = planCommand(command({ name: 'deploy', options: { payload: '{"a":1}' } }), undefined, argo);
    expect(plan.parameters).toEqual({ environment: 'staging', project: 'none', payload: '{"a":1}', action: 'deploy' });
    expect(plan.namePrefix).toBe('deploy');
  });

  test('refuses an undefined command from Discord', () => {
    const refusal = refusalOf(() => planCommand(command({ door: 'discord', name: 'deploy' }), undefined, argo));
    expect(refusal).toMatchObject({ kind: 'unknown_command', details: 'deploy is not defined' });
  });

  test('parameters that facteur adds need no definition, and unusable ones are dropped', () => {
    const added = { last_correlation_id: 'c-1', other: '{{workflow.name}}', none: '' };
    const given = command({ door: 'discord', options: { project: 'lab' }, added });
    expect(planCommand(given, definition, argo).parameters).toEqual({
      environment: 'production',
      project: 'lab',
      last_correlation_id: 'c-1',
      action: 'implement',
    });
  });

  test('checks the fields of a form like options', () => {
    const field = { name: 'content', label: 'What', style: 'paragraph', required: true, maxLength: 5 } as const;
    const form = { ...definition, options: [], modal: { title: 'Ask', fields: [field] } };
    const plan = (options: Record<string, string>) => planCommand(command({ options }), form, argo);
    expect(plan({ content: 'short', payload: '{}' }).parameters).toMatchObject({ content: 'short', payload: '{}' });
    expect(refusalOf(() => plan({ content: 'too long', other: 'x' }))).toMatchObject({
      kind: 'invalid_option',
      details: 'other: is an unknown option; content: must have at most 5 characters',
    });
  });

  test('a choice is passed on as defined, however its number was written', () => {
    const choices = ['1', '1.0', '007'].map((value) => ({ name: value, value }));
    const replicas = { name: 'replicas', description: 'How many', type: 'number', required: true, choices } as const;
    const sent = (value: string) =>
      planCommand(command({ options: { replicas: value } }), { ...definition, options: [replicas] }, argo).parameters;
    expect(['1', '1.0', '1e0', '7'].map((value) => sent(value)['replicas'])).toEqual(['1', '1.0', '1', '007']);
  });

  test('an option called action does not change the action', () => {
    expect(planCommand(command({ options: { action: 'plan' } }), undefined, argo).parameters['action']).toBe(
      'implement',
    );
  });

  test('a definition may name its own target', () => {
    const own = { ...definition, namespace: 'other', workflowTemplate: 'own', serviceAccount: 'sa' };
    const plan = planCommand(command({ options: { project: 'lab' } }), own, argo);
    expect(plan).toMatchObject({ namespace: 'other', workflowTemplate: 'own', serviceAccount: 'sa' });
  });

  test.each([
    { door: 'http', configured: true, binds: true },
    { door: 'kafka', configured: true, binds: true },
    { door: 'discord', configured: false, binds: true },
    { door: 'http', configured: false, binds: false },
    { door: 'kafka', configured: false, binds: false },
  ] as const)('from $door, a definition (configured: $configured) applies: $binds', ({ door, configured, binds }) => {
    const plan = () => planCommand(command({ door, options: { other: 'x' } }), { ...definition, configured }, argo);
    if (binds) {
      expect(refusalOf(plan)).toMatchObject({
        kind: 'invalid_option',
        details: 'other: is an unknown option; project: is required',
      });
    } else {
      expect(plan().parameters).toMatchObject({ other: 'x' });
    }
  });

  test.each([
    { given: { options: { notes: 'see {{workflow.name}}' } }, details: 'options.notes: must not contain "{{"' },
    { given: { options: { notes: '{{=sprig.env("HOME")}}' } }, details: 'options.notes: must not contain "{{"' },
    { given: { name: 'a{{b' }, details: 'command: must not contain "{{"' },
    { given: { options: { notes: 'a {' } }, details: 'options.notes: must not end in "{"' },
    {
      given: { options: { notes: '{=toJson(workflow)}}' } },
      details: 'options.notes: must not begin with half a template tag, such as "{="',
    },
  ])('refuses text that Argo would evaluate: $details', ({ given, details }) => {
    expect(refusalOf(() => planCommand(command(given), undefined, argo))).toMatchObject({
      kind: 'template_tag',
      details,
    });
  });

  test.each([
    { given: { options: { notes: 'bell \u0007' } }, details: 'options.notes: must not contain U+0007' },
    { given: { options: { notes: 'tired \u{1fae9}' } }, details: 'options.notes: must not contain U+1FAE9' },
    { given: { name: 'tired \u{1fae9}' }, details: 'command: must not contain U+1FAE9' },
  ])('refuses text that Argo cannot read: $details', ({ given, details }) => {
    expect(refusalOf(() => planCommand(command(given), undefined, argo))).toMatchObject({
      kind: 'unprintable',
      details: `${details}, a character that Argo cannot read`,
    });
  });

  test.each(['a b', 'a\nb', 'é', '{{x}}', ''])('refuses an option called %j', (name) => {
    const refusal = refusalOf(() => planCommand(command({ options: { [name]: 'x' } }), undefined, argo));
    expect(refusal.kind).toBe('invalid_option');
  });

  test('passes on hostile text that is not a template unchanged', () => {
    const text = '‮"; rm -rf / #\b\r\n${IFS}`id` { { }} \ud83e\udd8a';
    expect(planCommand(command({ options: { notes: text } }), undefined, argo).parameters['notes']).toBe(text);
  });

  test('an option called __proto__ is a parameter like any other', () => {
    const options = JSON.parse('{"__proto__":"x"}') as Record<string, string>;
    expect(Object.keys(planCommand(command({ options }), undefined, argo).parameters)).toContain('__proto__');
  });
});
