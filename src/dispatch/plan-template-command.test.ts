import { describe, expect, test } from 'vitest';
import { ANONYMOUS, type Door } from '../domain/command.ts';
import { Refusal } from '../domain/refusal.ts';
import { readTemplateCommand } from '../domain/template-command.ts';
import { workflowManifest } from '../domain/workflow-manifest.ts';
import type { WorkflowPlan } from '../domain/workflow-plan.ts';
import { suggestions } from '../entry/discord/reply.ts';
import { registrations } from '../entry/discord/registration.ts';
import { planCommand } from './plan-command.ts';

const PREFIX = 'facteur.proompteng.ai/';
const LONG = 'x'.repeat(120);
const REGIONS = Array.from({ length: 30 }, (_, index) => `region-${index}`);

function definitionOf(parameters: readonly object[], annotations: Readonly<Record<string, string>> = {}) {
  const own = { command: 'deploy', roles: '500000000000000001', ...annotations };
  const template = {
    metadata: {
      name: 'deploy-app',
      namespace: 'apps',
      uid: 'uid-7',
      resourceVersion: '42',
      annotations: Object.fromEntries(Object.entries(own).map(([key, value]) => [`${PREFIX}${key}`, value])),
    },
    spec: { entrypoint: 'main', arguments: { parameters } },
  };
  const rules = { parameters: {}, roleMap: {}, defaultRoles: [], serviceAccounts: [] };
  const read = readTemplateCommand(template, rules);
  expect(read?.faults).toEqual([]);
  return read!.definition;
}

const argo = { namespace: 'argo', workflowTemplate: 'default', serviceAccount: 'facteur', parameters: { team: 'a' } };

function plan(
  definition: ReturnType<typeof definitionOf>,
  options: Readonly<Record<string, string>>,
  door: Door = 'discord',
) {
  const command = {
    door,
    deliveryId: 'd',
    interactionId: 'd',
    name: 'deploy',
    options,
    principal: ANONYMOUS,
    correlationId: '',
    traceparent: '',
    traceId: '',
  };
  try {
    return planCommand(command, definition, argo);
  } catch (error) {
    if (error instanceof Refusal) {
      return { kind: error.kind, details: error.details };
    }
    throw error;
  }
}

describe('a command from a template', () => {
  const definition = definitionOf([
    { name: 'GitBranch' },
    { name: 'env', default: 'staging', enum: ['staging', 'production'] },
    { name: 'force', value: 'no', enum: ['yes', 'no'] },
    { name: 'note', value: '' },
  ]);

  test('runs its template, and sends what Argo would not: names as declared, defaults, and its version', () => {
    expect(plan(definition, { gitbranch: 'main', force: 'true' })).toMatchObject({
      namespace: 'apps',
      workflowTemplate: 'deploy-app',
      serviceAccount: 'facteur',
      parameters: { GitBranch: 'main', env: 'staging', force: 'yes', note: '', team: 'a', action: 'deploy' },
      annotations: { [`${PREFIX}template-uid`]: 'uid-7', [`${PREFIX}template-version`]: '42' },
    });
  });

  test('repeats the enum of a chosen value, which Argo then checks, too', () => {
    const planned = plan(definition, { gitbranch: 'main', env: 'production', force: 'true' });
    expect(planned).toMatchObject({ enums: { env: ['staging', 'production'], force: ['yes', 'no'] } });
    expect(plan(definition, { gitbranch: 'main' })).not.toHaveProperty('enums');
    const run = { runId: 'r', deliveryId: 'd', workflowName: 'w', traceparent: '' };
    expect(workflowManifest(planned as WorkflowPlan, run).spec.arguments.parameters).toEqual([
      { name: 'GitBranch', value: 'main' },
      { name: 'action', value: 'deploy' },
      { name: 'env', value: 'production', enum: ['staging', 'production'] },
      { name: 'force', value: 'yes', enum: ['yes', 'no'] },
      { name: 'note', value: '' },
      { name: 'team', value: 'a' },
    ]);
  });

  test.each([
    ['a missing required parameter', { env: 'staging' }, 'gitbranch: is required'],
    [
      'a value that is no longer in the enum',
      { gitbranch: 'x', env: 'dev' },
      'env: must be one of staging, production',
    ],
    ['an option that was removed', { gitbranch: 'x', region: 'eu' }, 'region: is an unknown option'],
    ['a switch that was text before', { gitbranch: 'x', force: 'maybe' }, 'force: must be true or false'],
  ])('%s, from Discord, means that the template has changed', (_what, options, details) => {
    expect(plan(definition, options)).toEqual({ kind: 'command_changed', details });
  });

  test.each(['http', 'kafka', 'api', 'cli'] as const)(
    'checks options from %s, too, which has no registration',
    (door) => {
      expect(plan(definition, { env: 'staging' }, door)).toMatchObject({ kind: 'invalid_option' });
      expect(plan(definition, { gitbranch: 'main', force: 'yes' }, door)).toMatchObject({
        parameters: { force: 'yes' },
      });
    },
  );
});

test('a choice that Discord cannot carry means its text, and never another one of a changed template', () => {
  const parameter = { name: 'query', enum: ['a', LONG, '', '{{workflow.name}}'] };
  const definition = definitionOf([parameter]);
  const choices = definition.options[0]?.choices ?? [];
  const sent = choices
    .map(({ value }) => plan(definition, { query: value }))
    .map((one) => 'parameters' in one && one.parameters['query']);
  expect(sent).toEqual(parameter.enum);
  expect(plan(definition, { query: 'a' })).toMatchObject({ enums: { query: parameter.enum } });
  expect(plan(definition, { query: LONG })).toMatchObject({ parameters: { query: LONG } });
  const later = definitionOf([{ name: 'query', enum: ['a', `${LONG}!`] }]);
  expect(plan(later, { query: choices[1]?.value ?? '' })).toMatchObject({ kind: 'command_changed' });
});

describe('an enum of more than 25 values', () => {
  const definition = definitionOf([{ name: 'region', enum: REGIONS }]);

  test('is offered as autocompletion, and checked here', () => {
    expect(registrations({ deploy: definition })[0]?.options).toEqual([
      { type: 3, name: 'region', description: 'region', required: true, autocomplete: true },
    ]);
    const reply = suggestions(definition.options[0], 'REGION-2');
    expect(reply).toMatchObject({
      data: { choices: expect.arrayContaining([{ name: 'region-29', value: 'region-29' }]) },
    });
    expect(plan(definition, { region: 'region-29' })).toMatchObject({ parameters: { region: 'region-29' } });
    // The user may type anything, so this does not mean an earlier template.
    expect(plan(definition, { region: 'region-x' })).toMatchObject({
      kind: 'invalid_option',
      details: expect.stringMatching(/^region: must be one of region-0, .*region-24 and 5 others$/),
    });
  });
});

test('a form replaces options, and its fields are checked like them', () => {
  const definition = definitionOf(
    [{ name: 'body' }, { name: 'channel', value: 'general', enum: ['general', 'random'] }],
    { long: 'body' },
  );
  expect(registrations({ announce: definition })[0]?.options).toEqual([]);
  expect(plan(definition, { body: 'Dear all,\n', channel: '' })).toMatchObject({
    parameters: { body: 'Dear all,\n', channel: 'general' },
  });
  expect(plan(definition, { body: 'x', channel: 'none' })).toMatchObject({ kind: 'invalid_option' });
});

test('commands of several words are registered as subcommands and groups', () => {
  const leaf = definitionOf([{ name: 'version' }]);
  const [deploy] = registrations({ 'deploy api': leaf, 'deploy db backup': leaf, 'deploy db restore': leaf });
  expect(deploy).toMatchObject({
    name: 'deploy',
    description: 'One of api, db',
    options: [
      { type: 1, name: 'api', options: [{ name: 'version' }] },
      {
        type: 2,
        name: 'db',
        description: 'One of backup, restore',
        options: [
          { type: 1, name: 'backup' },
          { type: 1, name: 'restore' },
        ],
      },
    ],
  });
});
