import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { argoFault } from '../../src/domain/argo-text.ts';
import { lintTemplates } from '../../src/domain/lint/lint.ts';
import type { Json } from '../support/cluster.ts';
import { openSharedWorld, type World } from './world.ts';

// How the controller treats a user's text: verifies the rules in `src/domain/lint/`. Each rule has a template in which the
// text takes effect, and the same template with the fix of the rule, in which it does not.

let world: World;
beforeAll(async () => {
  world = await openSharedWorld();
});
afterAll(async () => {
  await world?.api.close();
});

const API = '/apis/argoproj.io/v1alpha1/namespaces/argo-workflows';

interface Outcome {
  readonly workflow: Json;
  readonly pods: readonly Json[];
}

/** Runs templates, starting with the first, to the end, with a user's text as the parameter `x`. */
async function run(templates: readonly object[], x: string): Promise<Outcome> {
  expect(argoFault(x)).toBeUndefined();
  const name = `lint-${randomUUID()}`;
  await world.api.apply(manifest(name, templates));
  const spec = { workflowTemplateRef: { name }, arguments: { parameters: [{ name: 'x', value: x }] } };
  let outcome: Outcome | undefined;
  for (let attempt = 0; outcome === undefined || isUnseen(outcome); attempt += 1) {
    outcome = await ended(`${name}-${attempt}`, spec);
  }
  return outcome;
}

/** The controller looks up templates in a cache, which may not have a new one yet. */
const isUnseen = ({ workflow }: Outcome): boolean =>
  /workflowtemplates.* not found/.test(workflow.status?.message ?? '');

async function ended(name: string, spec: object): Promise<Outcome> {
  const body = { apiVersion: 'argoproj.io/v1alpha1', kind: 'Workflow', metadata: { name }, spec };
  await world.api.call(`${API}/workflows`, { method: 'POST', body });
  const path = `${API}/workflows/${name}`;
  await expect.poll(async () => (await world.api.call(path)).status?.phase).toMatch(/^(Succeeded|Failed|Error)$/);
  const selector = encodeURIComponent(`workflows.argoproj.io/workflow=${name}`);
  const { items } = await world.api.call(`/api/v1/namespaces/argo-workflows/pods?labelSelector=${selector}`);
  return { workflow: await world.api.call(path), pods: items };
}

function manifest(name: string, templates: readonly object[]) {
  return {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'WorkflowTemplate',
    metadata: { name, namespace: 'argo-workflows' },
    spec: {
      entrypoint: 'main',
      nodeSelector: { 'facteur.test/kubelet': 'stand-in' },
      arguments: {
        parameters: [
          { name: 'x', value: '' },
          { name: 'secret', value: 'other-image' },
        ],
      },
      templates: templates.map((template, nth) => (nth === 0 ? { name: 'main', ...template } : template)),
    },
  };
}

/** The template as the executor of a pod gets it. */
function templateOf({ pods }: Outcome): Json {
  const [pod] = pods;
  const all: Json[] = [...pod.spec.initContainers, ...pod.spec.containers].flatMap((one: Json) => one.env ?? []);
  return JSON.parse(all.find((one) => one.name === 'ARGO_TEMPLATE').value);
}

function mainOf({ pods }: Outcome): Json {
  return pods[0].spec.containers.find((one: Json) => one.name === 'main');
}

/** Runs a pod's script in a local shell. @returns whether it left a marker */
function leavesMarker(script: string, more: { readonly env?: Json[]; readonly args?: string[] } = {}): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'facteur-lint-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const env = Object.fromEntries((more.env ?? []).map(({ name, value }) => [name, value]));
  spawnSync('/bin/sh', ['-c', script, 'sh', ...(more.args ?? [])], {
    cwd: folder,
    env: { PATH: '/usr/bin:/bin', ...env },
  });
  return existsSync(join(folder, 'marker'));
}

const TEXT = 'x; touch marker; #';
const RUN = { name: 'run', container: { image: 'none', command: ['none'] } };

interface Case {
  readonly name: string;
  readonly x: string;
  readonly unsafe: readonly object[];
  readonly safe: readonly object[];
  readonly takesEffect: (outcome: Outcome) => boolean;
}

const CASES: readonly Case[] = [
  {
    name: 'a script',
    x: TEXT,
    unsafe: [{ script: { image: 'none', command: ['sh'], source: 'echo {{workflow.parameters.x}}' } }],
    safe: [
      {
        script: {
          image: 'none',
          command: ['sh'],
          env: [{ name: 'X', value: '{{workflow.parameters.x}}' }],
          source: 'echo "$X"',
        },
      },
    ],
    takesEffect: (outcome) => leavesMarker(templateOf(outcome).script.source, { env: templateOf(outcome).script.env }),
  },
  {
    name: 'a script, via an input and an inline template',
    x: TEXT,
    unsafe: [
      {
        inputs: { parameters: [{ name: 'x' }] },
        steps: [
          [
            {
              name: 'a',
              inline: { script: { image: 'none', command: ['sh'], source: 'echo {{inputs.parameters.x}}' } },
            },
          ],
        ],
      },
    ],
    safe: [
      {
        inputs: { parameters: [{ name: 'x' }] },
        steps: [
          [
            {
              name: 'a',
              inline: {
                script: { image: 'none', command: ['sh'], source: 'echo {{=sprig.b64enc(inputs.parameters.x)}}' },
              },
            },
          ],
        ],
      },
    ],
    takesEffect: (outcome) => leavesMarker(templateOf(outcome).script.source),
  },
  {
    name: 'arguments of a shell',
    x: TEXT,
    unsafe: [{ container: { image: 'none', command: ['sh', '-c'], args: ['echo {{workflow.parameters.x}}'] } }],
    safe: [
      { container: { image: 'none', command: ['sh', '-c'], args: ['echo "$1"', 'sh', '{{workflow.parameters.x}}'] } },
    ],
    takesEffect: (outcome) => {
      const [script, , ...args] = mainOf(outcome).args;
      return leavesMarker(script, { args });
    },
  },
  {
    name: 'a condition',
    x: 'staging == staging || staging',
    unsafe: [{ steps: [[{ name: 'a', template: 'run', when: '{{workflow.parameters.x}} == production' }]] }, RUN],
    safe: [{ steps: [[{ name: 'a', template: 'run', when: "{{= workflow.parameters.x == 'production' }}" }]] }, RUN],
    takesEffect: ({ pods }) => pods.length === 1,
  },
  {
    name: 'the JSON of a loop',
    x: 'a"}, {"host": "b',
    unsafe: [{ steps: [[{ name: 'a', template: 'run', withParam: '[{"host": "{{workflow.parameters.x}}"}]' }]] }, RUN],
    safe: [
      { steps: [[{ name: 'a', template: 'run', withParam: '[{"host": {{=toJson(workflow.parameters.x)}}}]' }]] },
      RUN,
    ],
    takesEffect: ({ pods }) => pods.length > 1,
  },
  {
    name: 'a patch of the pod',
    x: '77,"hostname":"injected"',
    unsafe: [
      {
        podSpecPatch: '{"terminationGracePeriodSeconds":{{workflow.parameters.x}}}',
        container: { image: 'none', command: ['none'] },
      },
    ],
    safe: [
      {
        podSpecPatch: '{"terminationGracePeriodSeconds":{{= workflow.parameters.x == \'long\' ? 90 : 30 }}}',
        container: { image: 'none', command: ['none'] },
      },
    ],
    takesEffect: ({ pods }) => pods[0].spec.hostname === 'injected',
  },
  {
    name: 'a manifest',
    x: 'a\ndata: { injected: yes }\nx: "',
    unsafe: [{ resource: { action: 'create', manifest: 'kind: ConfigMap\nname: {{workflow.parameters.x}}"' } }],
    safe: [{ resource: { action: 'create', manifest: 'kind: ConfigMap\nname: {{=toJson(workflow.parameters.x)}}' } }],
    takesEffect: (outcome) => 'data' in parse(templateOf(outcome).resource.manifest),
  },
  {
    name: 'a tag in a tag',
    x: 'secret',
    unsafe: [{ container: { image: '{{workflow.parameters.{{workflow.parameters.x}}}}', command: ['none'] } }],
    safe: [
      { container: { image: 'none', command: ['none'], env: [{ name: 'X', value: '{{workflow.parameters.x}}' }] } },
    ],
    takesEffect: (outcome) => mainOf(outcome).image === 'other-image',
  },
];

describe.each(CASES)('$name', ({ x, unsafe, safe, takesEffect }) => {
  const errors = (templates: readonly object[]) =>
    lintTemplates([manifest('a', templates)]).filter(({ level }) => level === 'error');

  test('takes effect if the lint finds an error', async () => {
    expect(errors(unsafe)).not.toEqual([]);
    expect(takesEffect(await run(unsafe, x))).toBe(true);
  });

  test('has no effect if the lint finds nothing', async () => {
    expect(errors(safe)).toEqual([]);
    const outcome = await run(safe, x);
    expect(outcome.workflow.status).toMatchObject({ phase: 'Succeeded' });
    expect(takesEffect(outcome)).toBe(false);
  });
});
