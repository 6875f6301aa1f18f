import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { runCommandLine, type CliRun } from '../../test/support/cli.ts';
import { accessTo, startCluster } from '../../test/support/cluster.ts';
import { applyTemplate } from '../../test/support/templates.ts';
import { RULES } from '../domain/lint/rules.ts';
import { commandsCommand } from './commands.ts';
import { instantTimer } from '../../test/support/instant-timer.ts';

const BUILD = `# a comment
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: { name: build, namespace: ci }
spec:
  entrypoint: main
  arguments:
    parameters: [{ name: branch, value: main }]
  templates:
    - name: main
      script:
        image: alpine/git
        command: [sh]
        source: |
          set -e
          git fetch
          git checkout {{workflow.parameters.branch}}
`;
const SAFE = `
kind: WorkflowTemplate
metadata: { name: safe }
spec: { entrypoint: main, templates: [{ name: main, container: { image: alpine } }] }
`;

function lint(args: readonly string[], files: Readonly<Record<string, string>> = {}, url?: string): Promise<CliRun> {
  const deps = {
    version: '1.2.3',
    timer: instantTimer(),
    openLedger: async () => Promise.reject(new Error('no ledger here')),
    clusterAccess: async () => accessTo(url ?? 'http://127.0.0.1:9'),
  };
  return runCommandLine(['commands', 'lint', ...args], [commandsCommand(deps)], {
    readFile: async (path) => Buffer.from(files[path] ?? ''),
    readStdin: async () => Buffer.from(files['-'] ?? ''),
  });
}

describe('commands lint', () => {
  test('prints the place, the fix and the hash for a review, and fails', async () => {
    const { code, stdout, stderr } = await lint(['build.yaml'], { 'build.yaml': BUILD });
    expect(stdout.split('\n')).toEqual([
      'build.yaml:17:24: error: templates[0] "main" script.source line 3: {{workflow.parameters.branch}} is put into the script as text [script-source]',
      '    fix: set it in env and write "$NAME" in the script',
      expect.stringMatching(
        /^build\.yaml:2:1: after a review, set facteur\.proompteng\.ai\/reviewed: '<name>: <why>' and facteur\.proompteng\.ai\/reviewed-spec: sha256:[0-9a-f]{64}$/,
      ),
      '1 template: 1 error',
      '',
    ]);
    expect([code, stderr]).toEqual([1, 'facteur: lint: 1 error\n']);
  });

  test('needs neither a configuration nor a cluster, and succeeds if it finds nothing', async () => {
    expect(await lint(['-'], { '-': SAFE })).toMatchObject({
      code: 0,
      stdout: '1 template: nothing found\n',
      stderr: '',
    });
  });

  test('reads several documents and lists, and finds places behind aliases', async () => {
    const list = `---\nkind: List\nitems:\n${BUILD.replaceAll(/^/gm, '    ').replace('    # a comment', '  - # a comment')}`;
    const aliased = `---
kind: WorkflowTemplate
metadata: { name: aliased }
x: &x { command: [sh, -c], args: ['echo {{workflow.parameters.a}}'] }
spec: { entrypoint: main, templates: [{ name: main, container: *x }, { name: other, container: { <<: *x } }] }
`;
    const { stdout } = await lint(['a.yaml'], { 'a.yaml': `${SAFE}${list}\n${aliased}` });
    const places = stdout.match(/^a\.yaml:\d+:\d+: (?:error|warning)/gm);
    expect(places).toEqual(['a.yaml:24:28: error', 'a.yaml:30:64: error', 'a.yaml:30:96: warning']);
  });

  test('resolves references between files', async () => {
    const caller = `
kind: WorkflowTemplate
metadata: { name: caller }
spec:
  entrypoint: main
  templates:
    - { name: main, steps: [[{ name: a, templateRef: { name: safe, template: main } }]] }
`;
    expect(await lint(['caller.yaml'], { 'caller.yaml': caller })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('[unseen-template]'),
    });
    const both = await lint(['caller.yaml', 'safe.yaml'], { 'caller.yaml': caller, 'safe.yaml': SAFE });
    expect(both.stdout).toBe('2 templates: nothing found\n');
  });

  test.each([
    ['a syntax error', 'a: [', /^facteur: a\.yaml:1:\d+: invalid YAML: /],
    ['text that is not YAML', '}\n'.repeat(500), /^(?:.*invalid YAML: .*\n){20}and \d+ more\n$/],
    [
      'UTF-16',
      Buffer.from(`\ufeff${BUILD}`, 'utf16le').toString('utf8'),
      /^facteur: a\.yaml: the file is not UTF-8 text; save/,
    ],
    ['an alias bomb', aliasBomb(), /^facteur: a\.yaml:1:1: Excessive alias count/],
  ])('reports the place of the error: %s', async (_, text, expected) => {
    const { code, stderr } = await lint(['a.yaml'], { 'a.yaml': text });
    expect([code, stderr]).toEqual([1, expect.stringMatching(expected)]);
  });

  test.each([[[]], [['a.yaml', '--cluster']], [['a.yaml', '-o', 'xml']]])('%j is a usage error', async (args) => {
    expect((await lint(args)).code).toBe(2);
  });

  test('JSON contains the findings and the templates', async () => {
    const { stdout } = await lint(['build.yaml', '-o', 'json'], { 'build.yaml': BUILD });
    expect(JSON.parse(stdout)).toEqual({
      findings: [
        {
          rule: 'script-source',
          level: 'error',
          manifest: 0,
          kind: 'WorkflowTemplate',
          namespace: 'ci',
          name: 'build',
          path: ['spec', 'templates', 0, 'script', 'source'],
          line: 3,
          text: '{{workflow.parameters.branch}}',
          place: 'templates[0] "main" script.source line 3',
          message: expect.any(String),
          fix: expect.any(String),
          at: { file: 'build.yaml', line: 17, column: 24 },
        },
      ],
      templates: [
        {
          kind: 'WorkflowTemplate',
          namespace: 'ci',
          name: 'build',
          at: { file: 'build.yaml', line: 2, column: 1 },
          specHash: expect.stringMatching(/^sha256:/),
        },
      ],
    });
  });

  test('SARIF contains the rules and the places', async () => {
    const { stdout } = await lint(['dir/my build.yaml', '-o', 'sarif'], { 'dir/my build.yaml': BUILD });
    const log = JSON.parse(stdout) as SarifLog;
    const [run] = log.runs;
    expect(log.version).toBe('2.1.0');
    expect(run?.tool.driver).toMatchObject({ name: 'facteur', version: '1.2.3' });
    expect(run?.tool.driver.rules.map(({ id }) => id)).toEqual(Object.keys(RULES));
    expect(run?.results).toEqual([
      {
        ruleId: 'script-source',
        ruleIndex: 0,
        level: 'error',
        message: { text: expect.stringContaining('is put into the script as text') },
        locations: [
          {
            physicalLocation: {
              artifactLocation: { uri: 'dir/my%20build.yaml' },
              region: { startLine: 17, startColumn: 24 },
            },
            logicalLocations: [{ fullyQualifiedName: 'WorkflowTemplate/ci/build/spec/templates/0/script/source' }],
          },
        ],
      },
    ]);
  });
});

test('the documentation lists every rule with its level and title', () => {
  const text = readFileSync(new URL('../../docs/commands.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `([a-z-]+)` +\| (error|warning|info) +\| (.+?) +\|$/gm)].map(
    ([, ...cells]) => cells,
  );
  expect(rows).toEqual(Object.entries(RULES).map(([id, { level, title }]) => [id, level, title]));
});

describe('commands lint --cluster', () => {
  const CONFIG = `
argo: { namespace: argo-workflows, workflow_template: facteur-dispatch }
commands:
  release: { description: Release, workflow_template: release }
`;

  test('checks the templates of the namespaces, and reports a missing template of a command', async () => {
    const cluster = await startCluster();
    const spec = { templates: [{ name: 'main', podSpecPatch: '{{workflow.parameters.patch}}', container: {} }] };
    await applyTemplate(cluster, 'patch', { spec, parameters: [{ name: 'patch', value: '' }] });
    const { code, stdout } = await lint(['--cluster', '--config', 'f.yaml'], { 'f.yaml': CONFIG }, cluster.url);
    expect(code).toBe(1);
    expect(stdout).toContain(
      'argo-workflows/patch: error: templates[0] "main" podSpecPatch: {{workflow.parameters.patch}} ',
    );
    expect(stdout).toContain('argo-workflows/release, used by /release, does not exist');
  });
});

/** Nine lines that expand to 10^9 values. */
function aliasBomb(): string {
  const lines = Array.from({ length: 9 }, (_, nth) => {
    const values = Array.from({ length: 10 }, () => (nth === 0 ? 'x' : `*a${nth - 1}`));
    return `a${nth}: &a${nth} [${values.join(', ')}]`;
  });
  return `${lines.join('\n')}\n`;
}

/** The parts of a SARIF log that the test reads. */
interface SarifLog {
  readonly version: string;
  readonly runs: readonly {
    readonly tool: { readonly driver: { readonly rules: readonly { readonly id: string }[] } };
    readonly results: readonly object[];
  }[];
}
