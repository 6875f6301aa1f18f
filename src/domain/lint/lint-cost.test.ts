import { expect, test } from 'vitest';
import { lintTemplates } from './lint.ts';

/** Each variable contains the one before it, so the last one contains them all. */
const CHAIN = Array.from({ length: 200 }, (_, nth) => ({
  name: `E${nth}`,
  value: nth === 0 ? '{{workflow.parameters.a}}' : `$(E${nth - 1})`,
}));
const MANY = '$(E199)'.repeat(400_000);
/** CPU time in microseconds: several times the current time, and a fraction of the time before it was improved. */
const LIMIT_US = 3_000_000;
const GIVEN = Array.from({ length: 5000 }, (_, nth) => `{{workflow.parameters.a${nth}}}`);

test.each([
  ['a variable that refers to another one often', { command: ['x'], env: [...CHAIN, { name: 'MANY', value: MANY }] }],
  ['an argument that refers to a variable often', { command: ['x'], args: [MANY], env: CHAIN }],
  ['a long command', { command: ['sh', '-c', `sh ${'-c "$1" '.repeat(200_000)}`], args: ['sh', ...GIVEN] }],
  ['a long pipeline', { command: ['sh', '-c', 'echo "$1" | sh | '.repeat(100_000)], args: ['sh', ...GIVEN] }],
  ['nested groups', { command: ['sh', '-c', `${'{ echo "$1"; '.repeat(60_000)}${'} '.repeat(60_000)} | sh`] }],
  ['nested substitutions', { command: ['sh', '-c', 'echo "$1" $('.repeat(80_000)], args: ['sh', ...GIVEN] }],
  [
    'many commands for shells',
    { command: ['sh', '-c', `${'sh '.repeat(60)}"$1"\n`.repeat(8000)], args: ['sh', ...GIVEN] },
  ],
  ['many here documents', { command: ['sh', '-c', 'sh <<A\n$1\nA\n'.repeat(150_000)], args: ['sh', ...GIVEN] }],
  [
    'many here documents on one line',
    { command: ['sh', '-c', `sh ${'<<A '.repeat(200_000)}\n$1\n`], args: ['sh', ...GIVEN] },
  ],
  ['a script that uses its arguments often', { command: ['sh', '-c', 'eval $@\n'.repeat(160_000)], args: GIVEN }],
])('%s is checked quickly', (_, container) => {
  const before = process.threadCpuUsage();
  lintTemplates([{ kind: 'WorkflowTemplate', spec: { entrypoint: 'main', templates: [{ name: 'main', container }] } }]);
  expect(process.threadCpuUsage(before).user).toBeLessThan(LIMIT_US);
});

test('a long list of hidden parameters is checked quickly', () => {
  const names = Array.from({ length: 70_000 }, (_, nth) => `p${nth}`);
  const annotations = {
    'facteur.proompteng.ai/command': 'deploy',
    'facteur.proompteng.ai/hide': names.toReversed().join(','),
    'facteur.proompteng.ai/long': names.toReversed().join(','),
  };
  const spec = { entrypoint: 'main', arguments: { parameters: names.map((name) => ({ name, value: '' })) } };
  const before = process.threadCpuUsage();
  lintTemplates([{ kind: 'WorkflowTemplate', metadata: { annotations }, spec }]);
  expect(process.threadCpuUsage(before).user).toBeLessThan(LIMIT_US);
});

const ENV = [
  { name: 'STAGE', value: '{{workflow.parameters.stage}}' },
  { name: 'TEXT', value: '{{workflow.parameters.a}}' },
];

test.each([
  ['harmless', 'eval $STAGE\n'],
  ['doubtful', 'echo $TEXT\n'],
])('finds a dangerous use of text after many %s ones', (_, before) => {
  const command = ['sh', '-c', `${before.repeat(1000)}eval "\${TEXT}"`];
  const parameters = [{ name: 'a' }, { name: 'stage', value: 'test', enum: ['test', 'live'] }];
  const spec = {
    entrypoint: 'main',
    arguments: { parameters },
    templates: [{ name: 'main', container: { command, env: ENV } }],
  };
  const found = lintTemplates([{ kind: 'WorkflowTemplate', metadata: { name: 'a' }, spec }]);
  expect(found).toContainEqual(expect.objectContaining({ rule: 'shell-eval', level: 'warning', text: '${TEXT}' }));
});
