import { describe, expect, test } from 'vitest';
import { createLogger } from '../base/logger.ts';
import { builtinCommands } from '../domain/builtin-commands.ts';
import { definitionOf, type CommandRules } from '../domain/command-rules.ts';
import { readTemplateCommand, type TemplateCommand } from '../domain/template-command.ts';
import { registrations } from '../entry/discord/registration.ts';
import { checkCommand } from '../../sandbox/discord/command-rules.ts';
import { CommandCatalogue, mergeCommands } from './command-catalogue.ts';

const ROLE = '500000000000000001';
const OTHER = '500000000000000002';

function template(
  command: string,
  name = command.replaceAll(' ', '-'),
  annotations: Record<string, string> = {},
): TemplateCommand {
  const own = { command, roles: ROLE, ...annotations };
  const metadata = {
    ...{ name, namespace: 'argo', uid: `uid-${name}`, resourceVersion: '1' },
    annotations: Object.fromEntries(Object.entries(own).map(([key, value]) => [`facteur.proompteng.ai/${key}`, value])),
  };
  const rules = { parameters: {}, roleMap: {}, defaultRoles: [], serviceAccounts: [] };
  return readTemplateCommand({ metadata, spec: { entrypoint: 'main' } }, rules)!;
}

const OWN: CommandRules = {
  commands: { ...builtinCommands(), release: { ...builtinCommands()['plan']!, configured: true } },
  roleMap: {},
};

/** `/name`, or why it does not exist, by template. */
function outcome(templates: readonly TemplateCommand[], own = OWN): Record<string, string> {
  const { listed } = mergeCommands(own, templates);
  const ofTemplates = listed.filter(({ definition }) => definition.template !== undefined);
  return Object.fromEntries(
    ofTemplates.map((one) => [one.definition.template!.name, one.problems.join('; ') || `/${one.name}`]),
  );
}

describe('two claims to a name', () => {
  test.each([
    ['the configuration wins', ['release'], { release: '/release is a command of the configuration' }],
    ['a built-in command wins', ['plan'], { plan: '/plan is a built-in command' }],
    ['a built-in command wins over subcommands', ['plan now'], { 'plan-now': '/plan is a built-in command' }],
    [
      'a command and its subcommand exclude each other',
      ['deploy', 'deploy api'],
      {
        deploy: '/deploy is also claimed by argo/deploy-api (/deploy api)',
        'deploy-api': '/deploy api is also claimed by argo/deploy (/deploy)',
      },
    ],
    [
      'siblings do not exclude each other',
      ['deploy api', 'deploy web'],
      { 'deploy-api': '/deploy api', 'deploy-web': '/deploy web' },
    ],
    [
      'names that begin alike do not exclude each other',
      ['deploy', 'deploys'],
      { deploy: '/deploy', deploys: '/deploys' },
    ],
  ])('%s', (_what, names, expected) => {
    expect(outcome(names.map((name) => template(name)))).toEqual(expected);
  });

  test('neither of two templates gets it, in any order', () => {
    const both = [template('deploy', 'one'), template('deploy', 'two')];
    const expected = {
      one: '/deploy is also claimed by argo/two (/deploy)',
      two: '/deploy is also claimed by argo/one (/deploy)',
    };
    expect(outcome(both)).toEqual(expected);
    expect(outcome(both.toReversed())).toEqual(expected);
  });

  test('a template with faults claims no name', () => {
    expect(outcome([template('deploy', 'good'), template('deploy', 'bad', { ephemeral: 'maybe' })])).toEqual({
      good: '/deploy',
      bad: 'facteur.proompteng.ai/ephemeral: must be "true" or "false"',
    });
  });
});

describe('Discord’s limits', () => {
  test('leave out the last templates by name, and the registered commands fit', () => {
    const many = Array.from({ length: 130 }, (_, index) => template(`c${String(index).padStart(3, '0')}`));
    const merged = mergeCommands(OWN, many.toReversed());
    expect(Object.keys(merged.commands)).toHaveLength(100);
    expect(merged.listed.filter(({ problems }) => problems.length > 0).map(({ name }) => name)[0]).toBe('c095');
    expect(registrations(merged.commands)).toHaveLength(100);
  });

  test('apply to subcommands and their characters, too', () => {
    const children = Array.from({ length: 30 }, (_, index) => template(`deploy s${index + 10}`));
    const merged = mergeCommands(OWN, children);
    const [deploy] = registrations(merged.commands).filter(({ name }) => name === 'deploy');
    checkCommand({ ...deploy });
    expect(deploy?.options).toHaveLength(25);
    const texts = Array.from({ length: 20 }, (_, index) =>
      template(`big g${Math.floor(index / 5)} s${index}`, `big-${index}`, {
        description: `${'x'.repeat(99)} ${index}`,
      }),
    );
    const [big] = registrations(mergeCommands(OWN, texts).commands).filter(({ name }) => name === 'big');
    checkCommand({ ...big });
  });
});

test('the role map takes precedence, and an empty entry opens nothing', () => {
  const roleMap = { deploy: [OTHER], build: [] };
  const merged = mergeCommands({ ...OWN, roleMap }, [template('deploy'), template('build')]);
  expect([merged.roleMap['deploy'], merged.roleMap['build']]).toEqual([[OTHER], [ROLE]]);
});

describe('the catalogue', () => {
  test('does not call a command undefined until all templates are read', () => {
    const catalogue = new CommandCatalogue(OWN, createLogger('error', { write: () => undefined }), true);
    expect(definitionOf(catalogue.rules(), 'plan')).toBe(OWN.commands['plan']);
    expect(() => definitionOf(catalogue.rules(), 'deploy')).toThrow('not known yet');
    catalogue.replace([template('deploy')], false);
    expect(() => definitionOf(catalogue.rules(), 'other')).toThrow('not known yet');
    expect(definitionOf(catalogue.rules(), 'deploy')).toBeDefined();
    catalogue.replace([], true);
    expect(definitionOf(catalogue.rules(), 'deploy')).toBeUndefined();
  });

  test('warns about a problem once, and again if it comes back', () => {
    const log: string[] = [];
    const catalogue = new CommandCatalogue(OWN, createLogger('warn', { write: (line) => log.push(line) }), false);
    const both = [template('deploy', 'one'), template('deploy', 'two')];
    catalogue.replace(both, true);
    catalogue.replace([...both, template('build')], true);
    expect(log).toHaveLength(2);
    catalogue.replace(both.slice(0, 1), true);
    catalogue.replace(both, true);
    expect(log).toHaveLength(4);
    expect(log[0]).toContain('/deploy is also claimed by argo/two');
  });
});
