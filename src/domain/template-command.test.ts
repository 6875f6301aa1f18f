import { array, assert, constantFrom, nat, oneof, option, property, record, string, uniqueArray } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkCommand } from '../../sandbox/discord/command-rules.ts';
import { registrations } from '../entry/discord/registration.ts';
import { FIXTURE_RULES as RULES, TEMPLATE_FIXTURES, templateFixtures } from '../../test/support/template-fixtures.ts';
import { commandCharacters } from './command-size.ts';
import { readTemplateCommand, type TemplateCommand } from './template-command.ts';

const TEMPLATES = templateFixtures();

/** Everything that a golden file should show of a command, one line each. */
function shown({ name, definition, roles, faults }: TemplateCommand): string {
  const { options, modal, parameters, description, serviceAccount, ephemeral, guilds } = definition;
  const { titleOption, notify, quiet, confirm, results } = definition;
  const messages = JSON.stringify({ titleOption, notify, quiet, confirm, results });
  const lines = [
    `/${name}: ${description}`,
    `  for ${roles.join(' ') || 'nobody'}${ephemeral ? ', ephemeral' : ''}${guilds === undefined ? '' : `, in ${guilds.join(' ')}`}${serviceAccount === undefined ? '' : `, as ${serviceAccount}`}`,
    ...(messages === '{}' ? [] : [`  messages ${messages}`]),
    ...options.map((one) => `  option ${JSON.stringify(one)}`),
    ...(modal === undefined
      ? []
      : [`  form ${modal.title}`, ...modal.fields.map((one) => `  field ${JSON.stringify(one)}`)]),
    `  sends ${JSON.stringify(parameters)}`,
    ...faults.map(({ field, message }) => `  FAULT ${field}: ${message}`),
  ];
  return `${lines.join('\n')}\n`;
}

test('every fixture gives the command or the faults in the golden file', async () => {
  const golden = TEMPLATES.map(({ title, template }) => {
    const command = readTemplateCommand(template, RULES);
    return `# ${title}\n${command === undefined ? 'no command\n' : shown(command)}`;
  });
  expect(golden.length).toBeGreaterThanOrEqual(40);
  await expect(golden.join('\n')).toMatchFileSnapshot(new URL('golden.txt', TEMPLATE_FIXTURES).pathname);
});

test.each(TEMPLATES)('the registration keeps Discord’s limits: $title', ({ template }) => {
  const command = readTemplateCommand(template, RULES);
  if (command !== undefined && command.faults.length === 0) {
    expectRegistrable(command);
  }
});

function expectRegistrable({ name, definition }: TemplateCommand): void {
  for (const registration of registrations({ [name]: definition })) {
    checkCommand({ ...registration });
  }
}

describe('a template', () => {
  test('without the annotation gives no command', () => {
    expect(readTemplateCommand({ metadata: { annotations: { other: 'x' } }, spec: {} }, RULES)).toBeUndefined();
    expect(readTemplateCommand({ metadata: {}, spec: {} }, RULES)).toBeUndefined();
    expect(readTemplateCommand(null, RULES)).toBeUndefined();
  });

  test.each<[string, object]>([
    ['spec.serviceAccountName', { serviceAccountName: 'root' }],
    ['spec.executor.serviceAccountName', { executor: { serviceAccountName: 'root' } }],
    ['spec.templateDefaults.serviceAccountName', { templateDefaults: { serviceAccountName: 'root' } }],
    [
      'spec.templateDefaults.executor.serviceAccountName',
      { templateDefaults: { executor: { serviceAccountName: 'root' } } },
    ],
    ['spec.templates[0].serviceAccountName', { templates: [{ name: 'main', serviceAccountName: 'root' }] }],
    [
      'spec.templates[0].executor.serviceAccountName',
      { templates: [{ name: 'main', executor: { serviceAccountName: 'root' } }] },
    ],
  ])('may name only service accounts that the configuration allows: %s', (field, spec) => {
    const annotations = {
      'facteur.proompteng.ai/command': 'go',
      'facteur.proompteng.ai/roles': '500000000000000001',
    };
    const template = {
      metadata: { name: 'go', namespace: 'argo', annotations },
      spec: { entrypoint: 'main', ...spec },
    };
    const faultsWith = (serviceAccounts: readonly string[]) =>
      readTemplateCommand(template, { ...RULES, serviceAccounts })?.faults.map((fault) => fault.field);
    expect(faultsWith(['deployer'])).toEqual([field]);
    expect(faultsWith(['root'])).toEqual([]);
  });

  test.each([{ guildId: '100000000000000001' }, { guilds: '100000000000000001' }])(
    'may not have the id of the server as its only role: %j',
    ({ guildId, guilds }) => {
      const annotations = {
        'facteur.proompteng.ai/command': 'go',
        ...(guilds === undefined ? {} : { 'facteur.proompteng.ai/guilds': guilds }),
      };
      const faultsOf = (roles: string) => {
        const metadata = {
          name: 'go',
          namespace: 'argo',
          annotations: { ...annotations, 'facteur.proompteng.ai/roles': roles },
        };
        return readTemplateCommand({ metadata, spec: { entrypoint: 'main' } }, { ...RULES, guildId })?.faults;
      };
      expect(faultsOf('100000000000000001, 500000000000000001')).toEqual([]);
      expect(faultsOf('100000000000000001')).toEqual([
        {
          field: 'facteur.proompteng.ai/roles',
          message: expect.stringMatching(/^100000000000000001 is the id of the server \(@everyone\)/),
        },
      ]);
    },
  );

  test.each([[''], ['notes']])('does not show a default that is a credential, in options or in a form', (long) => {
    const parameters = [
      { name: 'apiToken', value: 's3cr3t' },
      { name: 'repo', value: 'https://me:hunter2@git.example.com/x' },
      { name: 'clone_with', value: `ghp_${'canary'.repeat(6)}` },
      { name: 'notes', value: 'none' },
      { name: 'max_tokens', value: '4096' },
      { name: 'tokenizer', value: 'large', enum: ['small', 'large'] },
    ];
    const annotations = {
      'facteur.proompteng.ai/command': 'go',
      'facteur.proompteng.ai/roles': '500000000000000001',
      'facteur.proompteng.ai/type': '{"max_tokens":"integer"}',
    };
    const metadata = {
      name: 'go',
      namespace: 'argo',
      annotations: { ...annotations, 'facteur.proompteng.ai/long': long },
    };
    const command = readTemplateCommand({ metadata, spec: { entrypoint: 'main', arguments: { parameters } } }, RULES);
    const { options, modal } = command?.definition ?? {};
    expect(modal === undefined).toBe(long === '');
    expect(JSON.stringify([options, modal])).not.toMatch(/s3cr3t|hunter2|canary/);
    for (const harmless of ['none', '4096', 'default: large']) {
      expect(JSON.stringify([options, modal])).toContain(harmless);
    }
  });

  test('without roles gets the default roles of the configuration', () => {
    const template = TEMPLATES.find(({ title }) => title === 'roles absent')?.template;
    const command = readTemplateCommand(template, { ...RULES, defaultRoles: ['ops'] });
    expect(command).toMatchObject({ roles: RULES.roleMap['ops'], faults: [] });
  });
});

const anyText = string({ unit: 'binary', maxLength: 130 });
const name = oneof(
  {
    weight: 40,
    arbitrary: string({
      unit: constantFrom('a', 'b', 'c', 'd', 'A', 'B', '-', '_', '0', '9'),
      minLength: 1,
      maxLength: 40,
    }),
  },
  { weight: 1, arbitrary: anyText },
);
const parameter = record(
  {
    name,
    // Most often from the enum: where there is one, no other value is valid.
    value: option(oneof(nat(5), constantFrom('', 'x'), anyText), { nil: undefined }),
    default: option(anyText, { nil: undefined }),
    enum: option(
      oneof(
        array(anyText, { minLength: 1, maxLength: 40 }),
        constantFrom(['true', 'false'], ['no', 'yes'], ['1', '2.5']),
      ),
      { nil: undefined },
    ),
    description: option(anyText, { nil: undefined }),
  },
  { requiredKeys: ['name'] },
).map(({ value, enum: values, ...rest }) => ({
  ...rest,
  enum: values,
  value: typeof value === 'number' || values !== undefined ? values?.[Number(value)] : value,
}));
const template = record({
  description: option(anyText, { nil: '' }),
  hide: constantFrom('', '', 'a'),
  isLong: constantFrom(false, false, true),
  parameters: uniqueArray(parameter, { maxLength: 27, selector: (one) => one.name.toLowerCase() }),
}).map(({ description, hide, isLong, parameters }) => ({
  metadata: {
    name: 't',
    namespace: 'n',
    uid: 'u',
    resourceVersion: '1',
    annotations: {
      'facteur.proompteng.ai/description': description,
      'facteur.proompteng.ai/hide': hide,
      'facteur.proompteng.ai/long': isLong ? (parameters[0]?.name ?? '') : '',
    },
  },
  spec: { entrypoint: 'main', arguments: { parameters } },
}));

test('any template has faults, or its registration keeps Discord’s limits', () => {
  let whole = 0;
  assert(
    property(template, oneof(constantFrom('deploy', 'deploy api', 'a b c'), anyText), (given, command) => {
      const annotations = {
        ...given.metadata.annotations,
        'facteur.proompteng.ai/command': command,
        'facteur.proompteng.ai/roles': 'ops',
      };
      const read = readTemplateCommand({ ...given, metadata: { ...given.metadata, annotations } }, RULES);
      expect(read).toBeDefined();
      if (read?.faults.length === 0) {
        whole += 1;
        expectRegistrable(read);
        const [registration] = registrations({ [read.name]: read.definition });
        // The parents of a subcommand have short descriptions of their own.
        const parents = read.name.split(' ').slice(0, -1).join('').length + 200;
        expect(commandCharacters(read.name, read.definition) + parents).toBeGreaterThanOrEqual(
          characters(registration),
        );
      }
    }),
    { numRuns: 600 },
  );
  expect(whole).toBeGreaterThan(10);
});

/** How many characters the names, descriptions and values have, at any depth. */
function characters(value: unknown): number {
  if (typeof value !== 'object' || value === null) {
    return 0;
  }
  return Object.entries(value).reduce((sum, [key, inner]) => {
    const own = ['name', 'description', 'value'].includes(key) && typeof inner === 'string' ? [...inner].length : 0;
    return sum + own + characters(inner);
  }, 0);
}
