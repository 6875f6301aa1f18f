import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SERVE_ROLES } from '../../src/service/roles.ts';
import type { Json } from '../support/cluster.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { emptyLedger, expectRun, runOf } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { logIn, openSharedWorld, SHIPPED_CONFIG, SHIPPED_ENV, type World } from './world.ts';

// Commands of templates on a real API server and controller: templates are listed and watched with facteur's own rights,
// and the controller runs the inputs that a command accepts.

let database: TestDatabase;
let world: World;
beforeAll(async () => {
  [database, world] = await Promise.all([createTestDatabase(), openSharedWorld()]);
});
afterAll(async () => {
  await world?.api.close();
  await database.close();
});
beforeEach(() => emptyLedger(database.db));

const TEMPLATES = '/apis/argoproj.io/v1alpha1/namespaces/argo-workflows/workflowtemplates';
const ROLE = '500000000000000001';
const applied = new Set<string>();
afterEach(async () => {
  await Promise.all([...applied].map((name) => world.api.call(`${TEMPLATES}/${name}`, { method: 'DELETE' })));
  applied.clear();
});

/** Applies a template with `facteur.proompteng.ai/` annotations that define a command of the same name. */
async function applyTemplate(name: string, annotations: Readonly<Record<string, string>>, spec: Json): Promise<void> {
  const own = { command: name, roles: ROLE, ...annotations };
  applied.add(name);
  await world.api.apply({
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'WorkflowTemplate',
    metadata: {
      name,
      namespace: 'argo-workflows',
      annotations: Object.fromEntries(
        Object.entries(own).map(([key, value]) => [`facteur.proompteng.ai/${key}`, value]),
      ),
    },
    spec: { entrypoint: 'main', ...spec },
  });
}

/** A step for the stand-in of a kubelet. */
const podOf = (name: string, container: Json = {}) => ({
  name,
  nodeSelector: { 'facteur.test/kubelet': 'stand-in' },
  container: { image: 'none', command: ['none'], ...container },
});

/** Applies a template with a single pod that has all parameters in its environment. */
async function apply(
  name: string,
  parameters: readonly Json[],
  annotations: Readonly<Record<string, string>> = {},
): Promise<void> {
  const env = parameters.map((one, index) => ({ name: `P${index}`, value: `{{workflow.parameters.${one.name}}}` }));
  await applyTemplate(name, annotations, { arguments: { parameters }, templates: [podOf('main', { env })] });
}

const output = (name: string, value: string) => ({ name, globalName: name, valueFrom: { expression: `'${value}'` } });

/** Applies a template with two global outputs. */
async function applyWithOutputs(name: string, annotations: Record<string, string>, spec: Json = {}): Promise<void> {
  const main = {
    name: 'main',
    steps: [[{ name: 'work', template: 'work' }]],
    outputs: { parameters: [output('summary', 'done'), output('version', 'v4')] },
  };
  await applyTemplate(name, annotations, { ...spec, templates: [main, podOf('work')] });
}

/** The values that the container of a workflow's only pod would get. */
async function valuesOf(workflow: string): Promise<readonly string[]> {
  const selector = encodeURIComponent(`workflows.argoproj.io/workflow=${workflow}`);
  const { items } = await world.api.call(`/api/v1/namespaces/argo-workflows/pods?labelSelector=${selector}`);
  const main = items[0].spec.containers.find((one: Json) => one.name === 'main');
  return main.env.filter(({ name }: Json) => /^P\d+$/.test(name)).map(({ value = '' }: Json) => value);
}

async function start(): Promise<Facteur> {
  const { access } = await logIn(world);
  const yaml = `${SHIPPED_CONFIG}\ncommands_from_templates: { namespaces: [argo-workflows] }\n`;
  return startFacteur({ db: database.db, access, yaml, env: SHIPPED_ENV, roles: SERVE_ROLES });
}

function run(facteur: Facteur, command: string, options: Readonly<Record<string, string>>) {
  const interactionId = randomUUID();
  const member = { id: '42', roles: [ROLE] };
  return facteur.send(event({ interactionId, command, options, member })).then((answer) => ({ answer, interactionId }));
}

/** Retries until the watch has seen the template: until then the name runs the default one, as in the Go service. */
async function eventually(facteur: Facteur, command: string, options: Readonly<Record<string, string>>) {
  const find = () => facteur.log.filter((line) => line.includes('workflow templates listed')).length;
  await expect.poll(find).toBeGreaterThan(0);
  let done: Awaited<ReturnType<typeof run>> | undefined;
  const templateOf = async (): Promise<unknown> => {
    done = await run(facteur, command, options);
    return (await runOf(database.db, done.interactionId))?.plan.workflowTemplate;
  };
  await expect.poll(templateOf, { interval: 500 }).toBe(command);
  return done!;
}

const LONG = 'y'.repeat(150);
const ALL = [
  { name: 'Version' },
  { name: 'env', default: 'staging', enum: ['staging', 'production'] },
  { name: 'force', value: 'no', enum: ['yes', 'no'] },
  { name: 'count', value: '1' },
  { name: 'query', value: '', enum: ['', LONG, ' padded '] },
];

describe('a template on a real cluster', () => {
  test('marks results with its own annotation, or with one that Argo copies to the workflow', async () => {
    await applyWithOutputs('tc-unmarked', {});
    await applyWithOutputs('tc-marked', { result: 'version' });
    await applyWithOutputs(
      'tc-copied',
      {},
      { workflowMetadata: { annotations: { 'facteur.proompteng.ai/result': 'version' } } },
    );
    const facteur = await start();
    const resultsOf = async (command: string): Promise<unknown> => {
      const { interactionId } = await eventually(facteur, command, {});
      return (await expectRun(database.db, interactionId, 'succeeded')).results;
    };
    expect(await resultsOf('tc-unmarked')).toEqual([{ name: 'summary', value: 'done' }]);
    expect(await resultsOf('tc-marked')).toEqual([{ name: 'version', value: 'v4' }]);
    expect(await resultsOf('tc-copied')).toEqual([{ name: 'version', value: 'v4' }]);
  });

  test('is listed and watched with facteur’s own rights, and Argo runs what the command accepts', async () => {
    await apply('tc-first', ALL, { type: '{"count":"integer"}' });
    const facteur = await start();
    const options = { version: 'v4', force: 'true', count: '7', query: LONG };
    const first = await eventually(facteur, 'tc-first', options);
    await expectRun(database.db, first.interactionId, 'succeeded');
    expect(await valuesOf(first.answer.body.workflowName)).toEqual(['v4', 'staging', 'yes', '7', LONG]);
    const path = `/apis/argoproj.io/v1alpha1/namespaces/argo-workflows/workflows/${first.answer.body.workflowName}`;
    const { metadata, spec } = await world.api.call(path);
    const template = await world.api.call(`${TEMPLATES}/tc-first`);
    expect(metadata.annotations).toMatchObject({
      'facteur.proompteng.ai/template-uid': template.metadata.uid,
      'facteur.proompteng.ai/template-version': template.metadata.resourceVersion,
    });

    // The controller checks the chosen value against the enum: facteur copies the enum for this.
    const chosen = spec.arguments.parameters.find(({ name }: Json) => name === 'force');
    expect(chosen).toEqual({ name: 'force', value: 'yes', enum: ['yes', 'no'] });
    const others = spec.arguments.parameters.filter((one: Json) => one !== chosen);
    const parameters = [...others, { ...chosen, value: 'maybe' }];
    const name = 'tc-outside-the-enum';
    await world.api.apply({
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'Workflow',
      metadata: { name, namespace: 'argo-workflows' },
      spec: { ...spec, arguments: { parameters } },
    });
    const workflow = async () => (await world.api.call(path.replace(/[^/]+$/, name))).status;
    await expect.poll(workflow).toMatchObject({ phase: 'Failed', message: expect.stringContaining('force.enum list') });
    await world.api.call(path.replace(/[^/]+$/, name), { method: 'DELETE' });

    // Argo would accept all of these, or fail only when the workflow runs.
    for (const wrong of [
      {},
      { version: 'v4', env: 'moon' },
      { version: 'v4', count: 'x' },
      { version: 'v4', other: 'x' },
    ]) {
      expect((await run(facteur, 'tc-first', wrong)).answer.status).toBe(422);
    }

    await apply('tc-second', [{ name: 'body', value: 'a\nb' }], { long: 'body' });
    const second = await eventually(facteur, 'tc-second', {});
    await expectRun(database.db, second.interactionId, 'succeeded');
    expect(await valuesOf(second.answer.body.workflowName)).toEqual(['a\nb']);
    expect(facteur.log.filter((line) => line.includes('may not list'))).toEqual([]);
  }, 180_000);
});
