import { globSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { judgeTemplates, lintTemplates } from './lint.ts';
import { REVIEWED, REVIEWED_SPEC, specHash } from './review.ts';

const ROOT = new URL('../../../', import.meta.url);

interface Case {
  readonly metadata: {
    readonly name?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** The documents of a file, by case. */
function casesOf(file: string): [string, Case[]][] {
  const text = readFileSync(new URL(`test/cases/lint/${file}`, ROOT), 'utf8');
  const documents = parseAllDocuments(text).map((document) => document.toJS() as Case);
  return Object.entries(
    Object.groupBy(documents, ({ metadata }) => metadata.labels?.['case'] ?? metadata.name ?? ''),
  ).map(([name, group = []]) => [name, group]);
}

describe('templates with an injection', () => {
  test.each(casesOf('injectable.yaml'))('%s', (_, manifests) => {
    const { expect: first, and } = manifests.at(-1)?.metadata.annotations ?? {};
    const found = lintTemplates(manifests).map(({ level, rule }) => `${level} ${rule}`);
    expect([...new Set(found)].filter((one) => !one.startsWith('info'))).toEqual(
      [first, and].filter((one) => one !== undefined),
    );
  });
});

describe('templates that treat text as data', () => {
  test.each(casesOf('safe.yaml'))('%s', (_, manifests) => {
    expect(lintTemplates(manifests)).toEqual([]);
    expect(judgeTemplates(manifests).flatMap(({ blocking }) => blocking)).toEqual([]);
  });
});

/** Keys that the linter looks for, without a sensible order. */
const KEYS = [
  ...[
    'metadata',
    'annotations',
    'spec',
    'workflowSpec',
    'entrypoint',
    'onExit',
    'hooks',
    'templates',
    'templateDefaults',
  ],
  ...['name', 'inputs', 'outputs', 'arguments', 'parameters', 'artifacts', 'value', 'default', 'enum', 'valueFrom'],
  ...['steps', 'dag', 'tasks', 'inline', 'template', 'templateRef', 'withParam', 'withItems', 'when', 'expression'],
  ...['script', 'container', 'containerSet', 'containers', 'sidecars', 'initContainers', 'source', 'command', 'args'],
  ...['env', 'envFrom', 'resource', 'manifest', 'http', 'url', 'data', 'suspend', 'duration', 'workflowTemplateRef'],
  ...['supplied', 'globalName', 'facteur.proompteng.ai/command', 'facteur.proompteng.ai/type', REVIEWED, REVIEWED_SPEC],
];
const TEXTS = [
  ...[
    'main',
    'sh',
    '-c',
    '',
    '1h',
    'eval $A',
    '{{item}}',
    '{{=item.a[',
    '{{inputs.parameters}}',
    '{{workflow.parameters.a}}',
  ],
  ...[
    '{{=toJson(steps)}}',
    '{{steps.main.outputs.result}}',
    '{{a{{b}}',
    '"$(main `${1',
    "{{='",
    '{{=a?b:(c ?? d) | e}}',
  ],
];
const { value: nonsense } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'medium' },
    fc.constantFrom(...TEXTS),
    fc.jsonValue({ maxDepth: 1 }),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...KEYS), tie('value'), { maxKeys: 6 }),
  ),
}));

test('judges any input without an exception', () => {
  const kind = fc.constantFrom('WorkflowTemplate', 'ClusterWorkflowTemplate', 'Workflow', 'CronWorkflow', 'List');
  const templates = fc.array(nonsense, { maxLength: 3 });
  const spec = fc.record({ entrypoint: nonsense, arguments: nonsense, templates, onExit: nonsense });
  const manifest = fc.oneof(nonsense, fc.record({ kind, metadata: nonsense, spec: fc.oneof(spec, nonsense) }));
  fc.assert(
    fc.property(fc.array(manifest, { maxLength: 3 }), (manifests) => {
      const findings = lintTemplates(manifests);
      judgeTemplates(manifests);
      expect(findings.every(({ place, message }) => typeof place === 'string' && message !== '')).toBe(true);
    }),
    { numRuns: 500 },
  );
});

const SHIPPED = globSync('deploy/**/*.yaml', { cwd: ROOT }).filter((file) => {
  const text = readFileSync(new URL(file, ROOT), 'utf8');
  return /^kind: \w*Workflow(?:Template)?$/m.test(text) && !text.includes('{{ .');
});

test('finds the templates that are shipped', () => {
  expect(SHIPPED).toContain('deploy/components/workflows/dispatch.yaml');
});

test.each(SHIPPED)('%s has no findings', (file) => {
  const documents = parseAllDocuments(readFileSync(new URL(file, ROOT), 'utf8'));
  expect(lintTemplates(documents.map((document) => document.toJS() as unknown))).toEqual([]);
});

/** The templates in the documentation, each with its page. */
const DOCUMENTED = globSync('docs/*.md', { cwd: ROOT }).flatMap((page) => {
  const blocks = readFileSync(new URL(page, ROOT), 'utf8').matchAll(/^```yaml\n([^]*?)^```$/gm);
  return [...blocks].flatMap(([, text = '']) =>
    /^kind: WorkflowTemplate$/m.test(text) ? [[page, text] as const] : [],
  );
});

test.each(DOCUMENTED)('the template in %s has no findings', (_, text) => {
  const documents = parseAllDocuments(text).map((document) => document.toJS() as unknown);
  expect(lintTemplates(documents)).toEqual([]);
});

describe('a review', () => {
  const template = {
    kind: 'WorkflowTemplate',
    metadata: { name: 'deploy', annotations: {} },
    spec: {
      entrypoint: 'main',
      templates: [{ name: 'main', script: { source: 'deploy {{workflow.parameters.what}}', command: ['sh'] } }],
    },
  };
  const hash = specHash({ spec: template.spec, annotations: {} });
  const reviewed = (annotations: object, spec: object = template.spec): unknown => ({
    ...template,
    metadata: { name: 'deploy', annotations },
    spec,
  });
  const rules = (manifest: unknown): string[] =>
    judgeTemplates([manifest]).flatMap(({ blocking }) => blocking.map(({ rule }) => rule));

  test('with the hash of the spec accepts a template with an error', () => {
    expect(rules(template)).toEqual(['script-source']);
    const annotations = { [REVIEWED]: 'ada: only admins may run it', [REVIEWED_SPEC]: hash };
    expect(rules(reviewed(annotations))).toEqual([]);
    const reordered = Object.fromEntries(Object.entries({ ...template.spec, onExit: null }).toReversed());
    expect(rules(reviewed(annotations, reordered))).toEqual([]);
  });

  test.each([
    ['of another spec', { [REVIEWED]: 'ada: why', [REVIEWED_SPEC]: hash }, { ...template.spec, priority: 1 }],
    ['without the hash', { [REVIEWED]: 'ada: why' }, template.spec],
    ['without a reason', { [REVIEWED]: 'ada', [REVIEWED_SPEC]: hash }, template.spec],
    ['without a name', { [REVIEWED_SPEC]: hash }, template.spec],
  ])('%s does not count', (_, annotations, spec) => {
    expect(rules(reviewed(annotations, spec))).toEqual(['script-source', 'review-outdated']);
  });

  test.each([
    { name: 'roles', text: '500000000000000001' },
    { name: 'hide', text: 'what' },
    { name: 'type', text: '{"what":"integer"}' },
    { name: 'guilds', text: '600000000000000001' },
  ])('becomes outdated when the annotation $name is added, changed or removed', ({ name, text }) => {
    const key = `facteur.proompteng.ai/${name}`;
    const judged = (before: object, after: object): string[] => {
      const valid = specHash({ spec: template.spec, annotations: { ...before } });
      return rules(reviewed({ ...after, [REVIEWED]: 'ada: only on-call may run it', [REVIEWED_SPEC]: valid }));
    };
    expect(judged({ [key]: text }, { [key]: text })).toEqual([]);
    for (const [before, after] of [
      [{}, { [key]: text }],
      [{ [key]: text }, {}],
      [{ [key]: text }, { [key]: `${text} ` }],
    ] as const) {
      expect(judged(before, after)).toEqual(['script-source', 'review-outdated']);
    }
  });

  test('of the caller does not cover the template that it calls', () => {
    const library = { ...template, metadata: { name: 'library' } };
    const spec = {
      entrypoint: 'main',
      templates: [{ name: 'main', steps: [[{ name: 'a', templateRef: { name: 'library', template: 'main' } }]] }],
    };
    const annotations = { [REVIEWED]: 'ada: why', [REVIEWED_SPEC]: specHash({ spec, annotations: {} }) };
    const [verdict] = judgeTemplates([reviewed(annotations, spec), library]);
    expect(verdict?.blocking).toMatchObject([{ rule: 'script-source', name: 'library' }]);
  });

  test('becomes outdated with any change of the spec', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.dictionary(fc.string(), fc.jsonValue()),
        (one, other) => {
          const hashes = [one, other].map((spec) => specHash({ spec, annotations: {} }));
          const same = JSON.stringify(withoutNull(one)) === JSON.stringify(withoutNull(other));
          expect(hashes[0] === hashes[1]).toBe(same);
        },
      ),
    );
  });
});

/** With sorted keys, and without `null` in objects. */
function withoutNull(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(withoutNull);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const entries = Object.entries(value).filter(([, one]) => one !== null);
  return Object.fromEntries(
    entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, one]) => [key, withoutNull(one)]),
  );
}

describe('parameters and suspend steps', () => {
  const rulesOf = (spec: object, annotations: object = {}): string[] =>
    lintTemplates([{ kind: 'WorkflowTemplate', metadata: { name: 'a', annotations }, spec }]).map(
      ({ level, rule }) => `${level} ${rule}`,
    );
  const many = Array.from({ length: 27 }, (_, nth) => ({ name: `p${nth}`, value: '' }));
  const command = { 'facteur.proompteng.ai/command': 'deploy' };

  test.each([
    ['a default is not a value', [{ name: 'a', default: 'b' }], {}, ['warning default-without-value']],
    ['facteur sends the default of a command', [{ name: 'a', default: 'b' }], command, []],
    ['an enum without a value', [{ name: 'a', enum: ['b'] }], {}, ['info enum-without-value']],
    ['a value outside the enum', [{ name: 'a', enum: ['b', 1], value: 'c' }], {}, ['warning value-outside-enum']],
    ['a number in the enum', [{ name: 'a', enum: ['b', 1], value: 1 }], {}, []],
    ['too many options', many, command, ['warning command-definition']],
    ['too many options, but no command', many, {}, []],
    ['too many options, but some are hidden', many, { ...command, 'facteur.proompteng.ai/hide': 'p1, p2' }, []],
    [
      'names that differ only in case',
      [
        { name: 'A', value: '' },
        { name: 'a', value: '' },
      ],
      command,
      ['warning command-definition'],
    ],
  ])('%s', (_, parameters, annotations, expected) => {
    expect(
      rulesOf({ entrypoint: 'main', templates: [{ name: 'main' }], arguments: { parameters } }, annotations),
    ).toEqual(expected);
  });

  const suspend = (duration: string, rest: object): object => ({
    templates: [{ name: 'ask', suspend: { duration }, ...rest }],
  });
  const timeout = { annotations: { 'facteur.proompteng.ai/approval-timeout': '2h' } };

  test.each([
    [
      'no default',
      suspend('1h', { outputs: { parameters: [{ name: 'a', valueFrom: { supplied: {} } }] } }),
      ['warning suspend-without-default'],
    ],
    [
      'a default',
      suspend('1h', { outputs: { parameters: [{ name: 'a', valueFrom: { supplied: {}, default: '' } }] } }),
      [],
    ],
    ['too short', suspend('90m', timeout), ['warning suspend-too-short']],
    ['too short by seconds', suspend('7199', { metadata: timeout }), ['warning suspend-too-short']],
    ['too short by milliseconds', suspend('7199999ms', timeout), ['warning suspend-too-short']],
    ['too short by a fraction', suspend('1.5h', timeout), ['warning suspend-too-short']],
    ['long enough', suspend('2h0m1s', timeout), []],
    [
      'an invalid annotation',
      { templates: [{ name: 'ask', suspend: {}, annotations: { 'facteur.proompteng.ai/quorum': 'most' } }] },
      ['warning approval-annotation'],
    ],
    ['a word', suspend('soon', timeout), ['warning suspend-duration']],
    ['days', suspend('2d', {}), ['warning suspend-duration']],
    ['a tag', suspend('{{inputs.parameters.wait}}', timeout), []],
    ['empty', suspend('', timeout), []],
  ])('suspend: %s', (_, spec, expected) => {
    expect(rulesOf(spec)).toEqual(expected);
  });
});

describe('missing templates', () => {
  const caller = (step: object): object => ({
    kind: 'WorkflowTemplate',
    metadata: { name: 'a', namespace: 'one' },
    spec: { entrypoint: 'main', templates: [{ name: 'main', steps: [[{ name: 's', ...step }]] }] },
  });
  const elsewhere = {
    kind: 'WorkflowTemplate',
    metadata: { name: 'b', namespace: 'two' },
    spec: { templates: [{ name: 'x' }] },
  };
  const reference = { templateRef: { name: 'b', template: 'x' } };
  const cluster = { templateRef: { name: 'b', template: 'x', clusterScope: true } };

  test.each([
    ['in the same object', { template: 'absent' }, false, 'error missing-template absent'],
    ['perhaps in another file', reference, false, 'warning unseen-template b/x'],
    ['in the whole cluster', reference, true, 'error missing-template b/x'],
    ['with cluster scope', cluster, true, 'warning unseen-template b/x'],
  ])('%s', (_, step, complete, expected) => {
    const findings = lintTemplates([caller(step), elsewhere], { complete });
    expect(findings.map(({ level, rule, text }) => `${level} ${rule} ${text}`)).toEqual([expected]);
    const [verdict] = judgeTemplates([caller(step), elsewhere], { complete });
    expect(verdict?.blocking).toHaveLength(1);
  });
});

test('a finding has its place and a fix', () => {
  const source = 'set -e\ncd /tmp\n\ngit checkout {{inputs.parameters.branch}}\n';
  const [finding] = lintTemplates([
    {
      kind: 'WorkflowTemplate',
      metadata: { name: 'build', namespace: 'ci' },
      spec: {
        entrypoint: 'build',
        templates: [
          { name: 'other' },
          { name: 'build', inputs: { parameters: [{ name: 'branch' }] }, script: { source } },
        ],
      },
    },
  ]);
  expect(finding).toEqual({
    rule: 'script-source',
    level: 'error',
    manifest: 0,
    kind: 'WorkflowTemplate',
    namespace: 'ci',
    name: 'build',
    path: ['spec', 'templates', 1, 'script', 'source'],
    line: 4,
    text: '{{inputs.parameters.branch}}',
    place: 'templates[1] "build" script.source line 4',
    message: '{{inputs.parameters.branch}} is put into the script as text',
    fix: 'set it in env and write "$NAME" in the script',
  });
});

const TAG = '{{workflow.parameters.x}}';
/** Input that would take a naive parser minutes. */
const LARGE: Readonly<Record<string, () => object>> = {
  'many tags': () => ({ script: { source: `${TAG} `.repeat(100_000) } }),
  'tags that never end': () => ({ script: { source: '{{'.repeat(2_500_000) } }),
  'tags in tags': () => ({ script: { source: `${'{{'.repeat(1_000_000)}}}` } }),
  brackets: () => ({ script: { source: `{{=${'('.repeat(500_000)}x${')'.repeat(500_000)}}}` } }),
  ternaries: () => ({ script: { source: `{{=${'a?'.repeat(500_000)}b}}` } }),
  'open quotes': () => ({ script: { source: `{{=${'"\\'.repeat(1_000_000)}}}` } }),
  arguments: () => ({ container: { args: Array.from({ length: 50_000 }, () => TAG) } }),
  variables: () => ({
    script: {
      command: ['sh'],
      source: Array.from({ length: 30_000 }, (_, nth) => `B=$B$A${nth}\n`).join(''),
      env: Array.from({ length: 30_000 }, (_, nth) => ({ name: `A${nth}`, value: TAG })),
    },
  }),
  'steps in a cycle': () => ({
    steps: Array.from({ length: 20_000 }, (_, nth) => [{ name: `s${nth}`, template: 'main', when: '{{=steps}}' }]),
  }),
};

test.each(Object.entries(LARGE))('finishes for large input: %s', (_, template) => {
  const spec = { entrypoint: 'main', templates: [{ name: 'main', ...template() }] };
  expect(lintTemplates([{ kind: 'WorkflowTemplate', metadata: { name: 'a' }, spec }])).toBeInstanceOf(Array);
});

test('refuses a template that is nested too deeply', () => {
  let nested: unknown = TAG;
  for (let depth = 0; depth < 5000; depth += 1) {
    nested = [nested];
  }
  const spec = { entrypoint: 'main', templates: [{ name: 'main', container: { args: nested } }] };
  const [verdict] = judgeTemplates([{ kind: 'WorkflowTemplate', metadata: { name: 'a' }, spec }]);
  expect(verdict?.blocking).toMatchObject([{ rule: 'unreadable' }]);
});
