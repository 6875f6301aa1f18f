import { gzipSync } from 'node:zlib';
import type { JsonObject } from './objects.ts';
import type { Plan } from './plan.ts';

export type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Error';

/** How far a workflow got. */
export interface Situation {
  readonly phase: Phase;
  /** Steps that are over and succeeded. */
  readonly done: number;
  /** RFC 3339, or null before it started or ended. */
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  /** The workflow's message. */
  readonly message: string;
  /** The message of the step after `done`, when it ended badly. */
  readonly stepMessage: string;
}

export function isOver(phase: Phase | ''): boolean {
  return phase === 'Succeeded' || phase === 'Failed' || phase === 'Error';
}

/** `status` as the workflow controller writes it, Go's null times included. */
export function workflowStatus(name: string, plan: Plan, situation: Situation): JsonObject {
  const { phase, done, startedAt, finishedAt, message } = situation;
  return {
    phase,
    startedAt,
    finishedAt,
    progress: `${done}/${plan.steps}`,
    ...(message === '' ? {} : { message }),
    conditions: [{ type: 'Completed', status: isOver(phase) ? 'True' : 'False' }],
    ...storedNodes(plan, phase === 'Pending' ? {} : nodesOf(name, plan, situation)),
  };
}

/** The labels that the controller adds. */
export function workflowLabels(phase: Phase): Readonly<Record<string, string>> {
  return {
    'workflows.argoproj.io/completed': isOver(phase) ? 'true' : 'false',
    'workflows.argoproj.io/phase': phase,
  };
}

/** The id that the controller gives a node: the workflow's name and an FNV-1a hash of the node's name. */
export function nodeId(workflow: string, node: string): string {
  if (node === workflow) {
    return workflow;
  }
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(node)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return `${workflow}-${hash}`;
}

function storedNodes(plan: Plan, nodes: JsonObject): JsonObject {
  switch (plan.nodes) {
    case 'plain':
      return { nodes };
    case 'compressed':
      return { compressedNodes: gzipSync(JSON.stringify(nodes)).toString('base64') };
    case 'offloaded':
      return { offloadNodeStatusVersion: 'fnv:784644123' };
  }
}

function nodesOf(workflow: string, plan: Plan, situation: Situation): JsonObject {
  const { phase, done, startedAt, finishedAt, message } = situation;
  const bad = phase === 'Failed' || phase === 'Error';
  const begun = Math.min(plan.steps, phase === 'Succeeded' ? done : done + 1);
  const steps = Array.from({ length: begun }, (_, index) => step(workflow, index + 1, situation));
  const root = {
    id: workflow,
    name: workflow,
    displayName: workflow,
    type: 'Steps',
    templateName: 'main',
    phase,
    startedAt,
    finishedAt,
    progress: `${done}/${plan.steps}`,
    ...(bad && message !== '' ? { message } : {}),
    children: steps.map(({ id }) => id),
  };
  return Object.fromEntries([root, ...steps].map((node) => [node.id, node]));
}

function step(workflow: string, number: number, situation: Situation): JsonObject & { readonly id: string } {
  const { phase, done, startedAt, finishedAt, stepMessage } = situation;
  const over = number <= done;
  const displayName = `step-${number}`;
  const name = `${workflow}[${number - 1}].${displayName}`;
  return {
    id: nodeId(workflow, name),
    name,
    displayName,
    type: 'Pod',
    templateName: displayName,
    boundaryID: workflow,
    phase: over ? 'Succeeded' : phase,
    startedAt,
    finishedAt: over || isOver(phase) ? (finishedAt ?? startedAt) : null,
    progress: over ? '1/1' : '0/1',
    ...(!over && stepMessage !== '' ? { message: stepMessage } : {}),
  };
}
