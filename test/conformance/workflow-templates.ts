/** The workflows of the conformance tests: a template for the real controller, a plan for the simulated one. */
import type { Plan } from '../../sandbox/cluster/plan.ts';

const POD = { nodeSelector: { 'facteur.test/kubelet': 'stand-in' }, container: { image: 'none', command: ['none'] } };
const FAILING_POD = {
  ...POD,
  metadata: { annotations: { 'facteur.test/exit': '3', 'facteur.test/message': 'broken' } },
};
/** The message of the real controller for that pod. */
const FAILED = 'main: Error (exit code 3): broken';

interface Template {
  readonly spec: { readonly entrypoint: 'main'; readonly [field: string]: unknown };
  readonly simulated: Partial<Plan>;
}

const CARRY = { name: 'carry', inputs: { parameters: [{ name: 'load' }] }, suspend: { duration: '1s' } };
const CARRYING = {
  name: 'carry',
  template: 'carry',
  withSequence: { count: '12' },
  arguments: { parameters: [{ name: 'load', value: '{{workflow.parameters.load}}' }] },
};
const LOAD = { arguments: { parameters: [{ name: 'load', value: 'x'.repeat(90_000) }] } };

/** A step that asks for approval, with its approvers and parameters. */
const GATE = {
  name: 'gate',
  annotations: { 'facteur.proompteng.ai/approvers': 'user:10' },
  inputs: {
    parameters: [
      { name: 'decision', enum: ['YES', 'NO'], default: 'NO', description: 'Deploy?' },
      { name: 'version', value: 'v1' },
    ],
  },
  outputs: { parameters: [{ name: 'decision', valueFrom: { supplied: {} } }] },
  suspend: {},
};
const DEPLOY = {
  name: 'deploy',
  template: 'deploy',
  arguments: { parameters: [{ name: 'decision', value: '{{steps.approve.outputs.parameters.decision}}' }] },
};

/** Waits for a second, then continues with the values it has. */
function lapsing(input: object): Template {
  const outputs = { parameters: [{ name: 'decision', valueFrom: { supplied: {} } }] };
  const gate = { name: 'gate', inputs: { parameters: [input] }, outputs, suspend: { duration: '1s' } };
  const deploy = { name: 'deploy', inputs: { parameters: [{ name: 'decision' }] }, ...POD };
  const steps = [[{ name: 'approve', template: 'gate' }], [DEPLOY]];
  return {
    spec: { entrypoint: 'main', templates: [{ name: 'main', steps }, gate, deploy] },
    simulated: { outcome: 'succeed' },
  };
}

export const TEMPLATES: Readonly<Record<string, Template>> = {
  /** Succeeds. */
  quick: {
    spec: { entrypoint: 'main', templates: [{ name: 'main', ...POD }] },
    simulated: { outcome: 'succeed', steps: 1 },
  },
  /** Waits until it is resumed or stopped. */
  waiting: {
    spec: { entrypoint: 'main', templates: [{ name: 'main', suspend: {} }] },
    simulated: { outcome: 'hang', steps: 1 },
  },
  'second-step-fails': {
    spec: {
      entrypoint: 'main',
      templates: [
        {
          name: 'main',
          steps: [[{ name: 'step-1', template: 'good' }], [{ name: 'step-2', template: 'bad' }]],
        },
        { name: 'good', ...POD },
        { name: 'bad', ...FAILING_POD },
      ],
    },
    simulated: { outcome: 'fail', steps: 2, message: FAILED },
  },
  /** Its arguments have more than a value. */
  'with-arguments': {
    spec: {
      entrypoint: 'main',
      arguments: {
        parameters: [
          { name: 'size', enum: ['small', 'large'], value: 'small' },
          { name: 'colour', default: 'red' },
        ],
      },
      templates: [{ name: 'main', ...POD }],
    },
    simulated: { outcome: 'succeed', steps: 1 },
  },
  /** Builds, asks whether to deploy, and deploys with the answer. */
  release: {
    spec: {
      entrypoint: 'main',
      templates: [
        {
          name: 'main',
          steps: [[{ name: 'build', template: 'build' }], [{ name: 'approve', template: 'gate' }], [DEPLOY]],
        },
        { name: 'build', ...POD },
        GATE,
        { name: 'deploy', inputs: { parameters: [{ name: 'decision' }] }, ...POD },
      ],
    },
    simulated: { outcome: 'succeed' },
  },
  /** Waits without asking for values. */
  plain: {
    spec: {
      entrypoint: 'main',
      templates: [
        {
          name: 'main',
          steps: [[{ name: 'build', template: 'build' }], [{ name: 'approve', template: 'gate' }]],
        },
        { name: 'build', ...POD },
        { name: 'gate', suspend: {} },
      ],
    },
    simulated: { outcome: 'succeed' },
  },
  lapsing: lapsing({ name: 'decision', value: '' }),
  'lapsing-with-default': lapsing({ name: 'decision', default: 'NO' }),
  /** Like `release`, with more than a megabyte of nodes. */
  'large-release': {
    spec: {
      entrypoint: 'main',
      ...LOAD,
      templates: [
        {
          name: 'main',
          steps: [
            [{ name: 'charge', template: 'build' }],
            [CARRYING],
            [{ name: 'approve', template: 'gate' }],
            [DEPLOY],
          ],
        },
        { name: 'build', ...POD },
        CARRY,
        GATE,
        { name: 'deploy', inputs: { parameters: [{ name: 'decision' }] }, ...POD },
      ],
    },
    simulated: { outcome: 'succeed', nodes: 'gzip' },
  },
  /** Fails after its nodes have grown to more than a megabyte. */
  large: {
    spec: {
      entrypoint: 'main',
      ...LOAD,
      templates: [
        { name: 'main', steps: [[CARRYING], [{ name: 'step-2', template: 'bad' }]] },
        CARRY,
        { name: 'bad', ...FAILING_POD },
      ],
    },
    simulated: { outcome: 'fail', steps: 2, message: `${FAILED}${' '.repeat(1024 * 1024)}` },
  },
};
