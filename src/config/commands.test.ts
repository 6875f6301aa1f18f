import { describe, expect, test } from 'vitest';
import { faultsOf, loadYaml } from '../../test/support/config.ts';

describe('configured commands', () => {
  test('are added to the built-in ones', async () => {
    const { config } = await loadYaml(`
commands:
  deploy:
    description: Roll a release out
    namespace: deployments
    workflow_template: facteur-deploy
    service_account: deployer
    parameters: { strategy: canary, empty: '' }
    ephemeral: true
    options:
      - name: environment
        description: Where to
        required: true
        choices: [staging, { name: Production, value: production }]
      - { name: replicas, description: How many, type: integer, min: 1, max: 20, autocomplete: [1, 3] }
      - { name: day, description: When, format: date, min_length: 10, max_length: 10 }
`);
    expect(Object.keys(config.commands)).toEqual(['plan', 'implement', 'review', 'status', 'deploy']);
    expect(config.commands['plan']?.configured).toBe(false);
    expect(config.commands['deploy']).toEqual({
      description: 'Roll a release out',
      namespace: 'deployments',
      workflowTemplate: 'facteur-deploy',
      serviceAccount: 'deployer',
      parameters: { strategy: 'canary', empty: '' },
      ephemeral: true,
      action: 'dispatch',
      configured: true,
      options: [
        {
          name: 'environment',
          description: 'Where to',
          type: 'string',
          required: true,
          choices: [
            { name: 'staging', value: 'staging' },
            { name: 'Production', value: 'production' },
          ],
        },
        {
          name: 'replicas',
          description: 'How many',
          type: 'integer',
          required: false,
          min: 1,
          max: 20,
          autocomplete: ['1', '3'],
        },
        {
          name: 'day',
          description: 'When',
          type: 'string',
          required: false,
          format: 'date',
          minLength: 10,
          maxLength: 10,
        },
      ],
    });
  });

  test('may be forms, whose fields are required by default, as in Discord', async () => {
    const { config } = await loadYaml(`
commands:
  ask:
    description: Hand a task over
    modal:
      title: What should be done?
      fields:
        - { name: content, label: The task, style: paragraph, max_length: 4000, placeholder: As to a colleague }
        - { name: repository, label: Repository, required: false }
`);
    expect(config.commands['ask']?.modal).toEqual({
      title: 'What should be done?',
      fields: [
        {
          name: 'content',
          label: 'The task',
          style: 'paragraph',
          required: true,
          maxLength: 4000,
          placeholder: 'As to a colleague',
        },
        { name: 'repository', label: 'Repository', style: 'short', required: false },
      ],
    });
  });

  test('replace a built-in command of the same name completely', async () => {
    const { config } = await loadYaml('commands: { plan: { description: Mine } }');
    expect(config.commands['plan']).toEqual({
      description: 'Mine',
      options: [],
      parameters: {},
      ephemeral: false,
      action: 'dispatch',
      configured: true,
    });
  });

  test('a configured status without a workflow template still shows the status', async () => {
    const renamed = await loadYaml('commands: { status: { description: How are we? } }');
    expect(renamed.config.commands['status']).toMatchObject({ action: 'status', ephemeral: true, configured: true });
    const open = await loadYaml('commands: { status: { description: Mine, ephemeral: false } }');
    expect(open.config.commands['status']).toMatchObject({ action: 'status', ephemeral: false });
    const own = await loadYaml('commands: { status: { description: Mine, workflow_template: report } }');
    expect(own.config.commands['status']).toMatchObject({ action: 'dispatch', configured: true });
  });

  test('may have subcommands, each with its own order of options', async () => {
    const { config } = await loadYaml(`commands:
  service:
    description: Services
    options:
      - { name: start.name, description: Which, required: true }
      - { name: start.force, description: Anyway, type: boolean }
      - { name: db.backup.name, description: Which, required: true }
      - { name: db.restore.name, description: Which, required: true }`);
    expect(config.commands['service']?.options.map(({ name }) => name)).toEqual([
      'start.name',
      'start.force',
      'db.backup.name',
      'db.restore.name',
    ]);
  });

  test('may come from a variable, as JSON', async () => {
    const env = { FACTEUR_COMMANDS: '{"go": {"description": "Go", "options": [{"name": "to", "description": "To"}]}}' };
    const { config } = await loadYaml('', env);
    expect(config.commands['go']?.options).toHaveLength(1);
  });

  test('do not include names that every object inherits', async () => {
    const { config } = await loadYaml('');
    expect(config.commands['constructor']).toBeUndefined();
    expect(config.commands['__proto__']).toBeUndefined();
  });
});

const nested = (...names: string[]): string =>
  `commands: { go: { description: Go, options: [${names.map((name) => `{ name: ${name}, description: N, required: true }`).join(', ')}] } }`;
const OPTION_NAME =
  'must be 1 to 32 lower-case letters, digits, dashes or underscores, or up to three of those with dots between them';
const PARAMETER_NAME =
  'becomes a workflow parameter: use only the letters a to z, digits, dashes, underscores and dots';
const option = (keys: string): string =>
  `commands: { go: { description: Go, options: [{ name: a, description: A, ${keys} }] } }`;
const field = (keys: string): string =>
  `commands: { go: { description: Go, modal: { title: T, fields: [{ name: a, label: A, ${keys} }] } } }`;
const many = (count: number, item: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => item(index)).join(', ');

describe("Discord's limits", () => {
  test.each([
    ['commands: { Go: { description: Go } }', 'Go must be 1 to 32 lower-case letters, digits, dashes or underscores'],
    [
      'commands: { go there: { description: Go } }',
      'go there must be 1 to 32 lower-case letters, digits, dashes or underscores',
    ],
    [
      `commands: { ${'g'.repeat(33)}: { description: Go } }`,
      `${'g'.repeat(33)} must be 1 to 32 lower-case letters, digits, dashes or underscores`,
    ],
    ['commands: { go: }', 'go.description is required'],
    ['commands: { go: { description: "" } }', 'go.description is required'],
    [`commands: { go: { description: ${'x'.repeat(101)} } }`, 'go.description must be at most 100 characters'],
    ['commands: { go: { description: Go, options: [5] } }', 'go.options[0] must be a map of keys'],
    [
      `commands: { go: { description: Go, options: [${many(26, (index) => `{ name: o${index}, description: O }`)}] } }`,
      'go.options must have at most 25 options',
    ],
    [
      'commands: { go: { description: Go, options: [{ name: a, description: A }, { name: b, description: B, required: true }] } }',
      'go.options[1] is required, so it must come before the optional ones',
    ],
    [
      'commands: { go: { description: Go, options: [{ name: a, description: A }, { name: a, description: A }] } }',
      'go.options[1] has a duplicate name',
    ],
    [nested('a.b.c.d'), `go.options[0].name ${OPTION_NAME}`],
    [nested('a..b'), `go.options[0].name ${OPTION_NAME}`],
    [nested('A.b'), `go.options[0].name ${OPTION_NAME}`],
    [nested('a.b', 'c'), 'go.options[1] cannot be combined with options of subcommands'],
    [nested('a.b', 'a.c.d'), 'go.options[1] cannot be in a group, because a is a subcommand'],
    [
      'commands: { go: { description: Go, options: [{ name: a.b, description: B }] } }',
      'go.options[0] belongs to a, which must have a required option',
    ],
    [option('type: date'), 'go.options[0].type must be one of string, integer, number, boolean'],
    [option(`choices: [${many(26, String)}]`), 'go.options[0].choices must have at most 25 choices'],
    [option('choices: [{ name: b }]'), 'go.options[0].choices[0].value is required'],
    [option('choices: [b, b]'), 'go.options[0].choices[1] has a duplicate name'],
    [option(`choices: [${'x'.repeat(101)}]`), 'go.options[0].choices[0] must be at most 100 characters'],
    [option('type: integer, choices: [1, 1.5]'), 'go.options[0].choices[1] must be a value of type integer'],
    [option('type: number, choices: [1.5, x]'), 'go.options[0].choices[1] must be a value of type number'],
    [option('type: integer, choices: [9007199254740993]'), 'go.options[0].choices[0] must be a value of type integer'],
    [option('type: integer, autocomplete: [1, few]'), 'go.options[0].autocomplete[1] must be a value of type integer'],
    [option('type: number, max: 1e300'), 'go.options[0].max must not be beyond 2^53, as no number in Discord is'],
    [option('type: boolean, choices: [x]'), 'go.options[0].choices does not apply to options of type boolean'],
    [option('choices: [b], autocomplete: [c]'), 'go.options[0].autocomplete cannot be combined with choices'],
    [option('min: 1'), 'go.options[0].min does not apply to options of type string'],
    [option('type: integer, max_length: 1'), 'go.options[0].max_length does not apply to options of type integer'],
    [option('type: integer, format: date'), 'go.options[0].format does not apply to options of type integer'],
    [option('type: integer, min: 1.5'), 'go.options[0].min must be a whole number for an option of type integer'],
    [option('type: number, min: 2.5, max: 1'), 'go.options[0].min must not be greater than max'],
    [option('min_length: 2, max_length: 1'), 'go.options[0].min_length must not be greater than max_length'],
    [option('max_length: 6001'), 'go.options[0].max_length must be a whole number from 1 to 6000'],
    [
      'commands: { go: { description: Go, options: [{ name: größe, description: G }] } }',
      `go.options[0].name ${PARAMETER_NAME}`,
    ],
    [
      'commands: { go: { description: Go, modal: { title: T, fields: [{ name: my field, label: A }] } } }',
      `go.modal.fields[0].name ${PARAMETER_NAME}`,
    ],
    [field('style: long'), 'go.modal.fields[0].style must be one of short, paragraph'],
    [field('max_length: 4001'), 'go.modal.fields[0].max_length must be a whole number from 1 to 4000'],
    [field('min_length: 2, max_length: 1'), 'go.modal.fields[0].min_length must not be greater than max_length'],
    [field(`placeholder: ${'x'.repeat(101)}`), 'go.modal.fields[0].placeholder must be at most 100 characters'],
    [
      'commands: { go: { description: Go, modal: { title: T, fields: [] } } }',
      'go.modal.fields must have at least 1 field',
    ],
    [
      `commands: { go: { description: Go, modal: { title: T, fields: [${many(6, (index) => `{ name: f${index}, label: F }`)}] } } }`,
      'go.modal.fields must have at most 5 fields',
    ],
    [
      `commands: { go: { description: Go, modal: { title: ${'x'.repeat(46)}, fields: [{ name: a, label: A }] } } }`,
      'go.modal.title must be at most 45 characters',
    ],
    [
      `commands: { go: { description: Go, modal: { title: T, fields: [{ name: a, label: ${'x'.repeat(46)} }] } } }`,
      'go.modal.fields[0].label must be at most 45 characters',
    ],
    [
      'commands: { go: { description: Go, options: [{ name: a, description: A }], modal: { title: T, fields: [{ name: a, label: A }] } } }',
      'go.modal cannot be combined with options: a command has one or the other',
    ],
    [
      `commands: { go: { description: Go, options: [${many(2, (index) => `{ name: o${index}, description: O, choices: [${many(25, (choice) => `{ name: ${'n'.repeat(95)}${choice}, value: ${'v'.repeat(95)} }`)}] }`)}] } }`,
      'go must not exceed 8000 characters in total',
    ],
  ])('%s', async (yaml, fault) => {
    const faults = await faultsOf(yaml);
    expect(faults.map((line) => line.replace(/^facteur.yaml:\d+:\d+: commands\./, ''))).toEqual([fault]);
  });

  test('allow no more than 100 commands', async () => {
    const commands = many(97, (index) => `c${index}: { description: C }`);
    expect(await faultsOf(`commands: { ${commands} }`)).toEqual([
      'facteur.yaml:1:11: commands must not make more than 100 commands, built-in ones included',
    ]);
    const replacing = many(96, (index) => `c${index}: { description: C }`);
    const { config } = await loadYaml(`commands: { ${replacing}, plan: { description: P } }`);
    expect(Object.keys(config.commands)).toHaveLength(100);
  });
});
