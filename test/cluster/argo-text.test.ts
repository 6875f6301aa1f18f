import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { argoFault, argoText } from '../../src/domain/argo-text.ts';
import { SERVE_ROLES } from '../../src/service/roles.ts';
import type { Json } from '../support/cluster.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { emptyLedger, expectRun } from '../support/ledger.ts';
import { codexTask, event } from '../support/messages.ts';
import { logIn, openSharedWorld, SHIPPED_CONFIG, SHIPPED_ENV, type World } from './world.ts';

// How Argo treats a text: verifies the rules in `src/domain/argo-text.ts`.

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

const WORKFLOWS = '/apis/argoproj.io/v1alpha1/namespaces/argo-workflows/workflows';
const INVALID_JSON = /the result was invalid JSON/;

/** Runs a workflow without facteur's checks to its end. */
async function run(template: string, parameters: Readonly<Record<string, string>>): Promise<Json> {
  const name = `text-${randomUUID()}`;
  const given = Object.entries(parameters).map(([key, value]) => ({ name: key, value }));
  await world.api.call(WORKFLOWS, {
    method: 'POST',
    body: {
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'Workflow',
      metadata: { name },
      spec: { workflowTemplateRef: { name: template }, arguments: { parameters: given } },
    },
  });
  const path = `${WORKFLOWS}/${name}`;
  await expect.poll(async () => (await world.api.call(path)).status?.phase).toMatch(/^(Succeeded|Failed|Error)$/);
  return world.api.call(path);
}

/** A variable of the only pod of a workflow, as the container would see it. */
async function variableOf(workflow: string, name: string): Promise<string | undefined> {
  const selector = encodeURIComponent(`workflows.argoproj.io/workflow=${workflow}`);
  const { items } = await world.api.call(`/api/v1/namespaces/argo-workflows/pods?labelSelector=${selector}`);
  const containers: Json[] = items[0].spec.containers;
  const variables: Json[] = containers.find((one) => one.name === 'main').env;
  return variables.find((one) => one.name === name)?.value;
}

async function startShipped(yaml = ''): Promise<Facteur> {
  const { access } = await logIn(world);
  const options = { env: SHIPPED_ENV, roles: SERVE_ROLES };
  return startFacteur({ db: database.db, access, yaml: `${SHIPPED_CONFIG}\n${yaml}`, ...options });
}

describe('text that facteur keeps from Argo', () => {
  test.each(['\u0001', '\u0007', '\u000b', '\u007f', '\u{1fae9}', '\u{e0067}', '\u{f0000}', '\u{10ffff}'])(
    '%j fails a workflow',
    async (text) => {
      expect(argoFault(text)?.kind).toBe('unprintable');
      const { status } = await run('side-by-side', { first: text });
      expect(status).toMatchObject({ phase: 'Failed', message: expect.stringMatching(INVALID_JSON) });
    },
    90_000,
  );

  test('two halves of a tag next to each other are evaluated', async () => {
    const [first, second] = ['{', '{ workflow.name }}'];
    expect([argoFault(first)?.kind, argoFault(second)?.kind]).toEqual(['template_tag', 'template_tag']);
    const { metadata } = await run('side-by-side', { first, second });
    expect(await variableOf(metadata.name, 'BOTH')).toBe(metadata.name);
    const fit = { first: argoText(first), second: argoText(second) };
    const again = await run('side-by-side', fit);
    expect(await variableOf(again.metadata.name, 'BOTH')).toBe('{  { workflow.name }}');
  });
});

test('text that a command accepts arrives unchanged, even next to other text', async () => {
  const facteur = await startShipped(
    'commands: { pair: { description: x, workflow_template: side-by-side, options: [{ name: first, description: x }, { name: second, description: x }] } }',
  );
  const first = '\b\f\n\r\t "\\ \u0085\u00a0\u200b\u2028\u202e\ue000\ufdd0\uffff 👩‍🚀 🇩🇪 {"a":{"b":{}}}';
  const second = '{"user":{"id":"1"}}<>&%s$(X)';
  const interactionId = randomUUID();
  const answer = await facteur.send(event({ interactionId, command: 'pair', options: { first, second } }));
  expect(answer).toMatchObject({ status: 202, body: { status: 'submitted' } });
  await expectRun(database.db, interactionId, 'succeeded');
  expect(await variableOf(answer.body.workflowName, 'BOTH')).toBe(`${first}${second}`);
});

test('a prompt with everything that Argo cannot process still runs', async () => {
  const facteur = await startShipped();
  const prompt = '{=toJson(workflow)}} {{workflow.name}} \u0001\u007f\u{1fae9} {';
  const deliveryId = `{{${randomUUID()}}}`;
  const answer = await facteur.send(codexTask({ deliveryId, prompt, repository: '{{workflow.name}}' }));
  expect(answer).toMatchObject({ status: 202, body: { status: 'submitted' } });
  await expectRun(database.db, deliveryId, 'succeeded');
  expect(await variableOf(answer.body.workflowName, 'PROMPT')).toBe(argoText(prompt));
  const { metadata } = await world.api.call(`${WORKFLOWS}/${answer.body.workflowName}`);
  expect(JSON.stringify([metadata.annotations, metadata.labels])).not.toContain('{{');
});

describe('enum and default of a template’s arguments', () => {
  test('Argo accepts a value that is not in `enum`', async () => {
    const { status } = await run('enum-and-default', { size: 'enormous', colour: 'blue' });
    expect(status.phase).toBe('Succeeded');
  });

  test('Argo ignores `default`: an argument needs a `value`', async () => {
    const { status } = await run('enum-and-default', {});
    expect(status).toMatchObject({ phase: 'Failed', message: expect.stringContaining('arguments.colour.value') });
  });
});
