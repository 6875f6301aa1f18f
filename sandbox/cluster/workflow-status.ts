import {
  brotliCompressSync,
  brotliDecompressSync,
  gunzipSync,
  gzipSync,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib';
import type { JsonObject } from './objects.ts';
import type { Plan } from './plan.ts';
import { inputFields, suspendFields, type Decided, type Step } from './suspend.ts';

export type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Error';

/** The progress of a workflow. */
export interface Situation {
  readonly phase: Phase;
  /** False before the first step started: then there are no nodes. */
  readonly begun: boolean;
  /** Number of steps that succeeded. */
  readonly done: number;
  /** RFC 3339, or null before it started or ended. */
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  /** The workflow's message. */
  readonly message: string;
  /** The message of the step after `done`, if it failed. */
  readonly stepMessage: string;
}

/** The parts of a workflow, its template's steps if known, and the decisions in it. */
interface Work {
  readonly name: string;
  readonly plan: Plan;
  readonly steps: readonly Step[] | undefined;
  readonly decided: Decided;
}

function isOver(phase: Phase | ''): boolean {
  return phase === 'Succeeded' || phase === 'Failed' || phase === 'Error';
}

/** `status` as the workflow controller writes it, including Go's null times. */
export function workflowStatus(work: Work, situation: Situation): JsonObject {
  const { plan } = work;
  const { phase, begun, done, startedAt, finishedAt, message } = situation;
  return {
    phase,
    startedAt,
    finishedAt,
    progress: `${done}/${plan.steps}`,
    ...(message === '' ? {} : { message }),
    conditions: [{ type: 'Completed', status: isOver(phase) ? 'True' : 'False' }],
    ...storedNodes(plan, begun ? nodesOf(work, situation) : {}),
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

/** The nodes of a status, packed or not; empty if they are offloaded. */
export function nodesIn(status: JsonObject): Readonly<Record<string, JsonObject>> {
  const { nodes, compressedNodes } = status;
  if (typeof compressedNodes !== 'string') {
    return (nodes ?? {}) as Readonly<Record<string, JsonObject>>;
  }
  const packed = Buffer.from(compressedNodes, 'base64');
  for (const unpack of UNPACKERS) {
    try {
      return JSON.parse(unpack(packed).toString()) as Readonly<Record<string, JsonObject>>;
    } catch {
      // Packed with another algorithm.
    }
  }
  return {};
}

const UNPACKERS = [gunzipSync, zstdDecompressSync, brotliDecompressSync];
const PACKERS = { gzip: gzipSync, zstd: zstdCompressSync, brotli: brotliCompressSync } as const;

function storedNodes(plan: Plan, nodes: JsonObject): JsonObject {
  switch (plan.nodes) {
    case 'plain':
      return { nodes };
    case 'offloaded':
      return { offloadNodeStatusVersion: 'fnv:784644123' };
    default:
      return { compressedNodes: PACKERS[plan.nodes](JSON.stringify(nodes)).toString('base64') };
  }
}

type Node = JsonObject & { readonly id: string };

/** One step per group, and each group a child of the step before it, as the controller links them. */
function nodesOf(work: Work, situation: Situation): JsonObject {
  const { phase, done } = situation;
  const begun = Math.min(work.plan.steps, phase === 'Succeeded' ? done : done + 1);
  const numbers = Array.from({ length: begun }, (_, index) => index + 1);
  const nodes = numbers.flatMap((number) => [
    groupNode(work, number, situation),
    stepNode(work, number, situation, number < begun),
  ]);
  return Object.fromEntries([rootNode(work, situation), ...nodes].map((node) => [node.id, node]));
}

function rootNode(work: Work, situation: Situation): Node {
  const { name, plan } = work;
  const { phase, done, startedAt, finishedAt } = situation;
  return {
    id: name,
    name,
    displayName: name,
    type: 'Steps',
    templateName: 'main',
    phase,
    startedAt,
    finishedAt,
    progress: `${done}/${plan.steps}`,
    ...blame(work, done + 1, situation),
    children: [nodeId(name, groupName(work, 1))],
  };
}

function groupNode(work: Work, number: number, situation: Situation): Node {
  const name = groupName(work, number);
  return {
    id: nodeId(work.name, name),
    name,
    displayName: `[${number - 1}]`,
    type: 'StepGroup',
    nodeFlag: {},
    ...fate(work, number, situation),
    ...(number <= situation.done ? {} : blame(work, number, situation)),
    children: [stepId(work, number)],
  };
}

function stepNode(work: Work, number: number, situation: Situation, hasNext: boolean): Node {
  const name = stepName(work, number);
  const { done, stepMessage } = situation;
  const step = work.steps?.[number - 1];
  return {
    id: nodeId(work.name, name),
    name,
    displayName: titleOf(work, number),
    type: step?.suspend === undefined ? 'Pod' : 'Suspend',
    templateName: step?.template ?? `step-${number}`,
    ...fate(work, number, situation),
    ...(number > done && stepMessage !== '' ? { message: stepMessage } : {}),
    ...(hasNext ? { children: [nodeId(work.name, groupName(work, number + 1))] } : {}),
    ...(step === undefined ? {} : ownFields(step, work)),
    ...decidedFields(work.decided.get(number)),
  };
}

function ownFields(step: Step, { name, steps = [], decided }: Work): JsonObject {
  return step.suspend === undefined
    ? inputFields(step, steps, decided)
    : { ...suspendFields(step), templateScope: `local/${name}` };
}

/** The fields that a decision wrote into the node. */
function decidedFields(node: JsonObject | undefined): JsonObject {
  if (node === undefined) {
    return {};
  }
  const { phase, finishedAt, message, outputs } = node;
  return {
    phase,
    finishedAt,
    ...(message === undefined ? {} : { message }),
    ...(outputs === undefined ? {} : { outputs }),
  };
}

function fate(work: Work, number: number, { phase, done, startedAt, finishedAt }: Situation): JsonObject {
  const over = number <= done;
  return {
    boundaryID: work.name,
    phase: over ? 'Succeeded' : phase,
    startedAt,
    finishedAt: over || isOver(phase) ? (finishedAt ?? startedAt) : null,
    progress: over ? '1/1' : '0/1',
  };
}

/** The message about a failed step in its enclosing nodes. */
function blame(work: Work, number: number, { phase }: Situation): JsonObject {
  const bad = phase === 'Failed' || phase === 'Error';
  return bad ? { message: `child '${stepId(work, number)}' failed` } : {};
}

/** The id of the node of a step. */
export function stepId(work: Work, number: number): string {
  return nodeId(work.name, stepName(work, number));
}

function groupName({ name }: Work, number: number): string {
  return `${name}[${number - 1}]`;
}

function stepName(work: Work, number: number): string {
  return `${groupName(work, number)}.${titleOf(work, number)}`;
}

function titleOf({ steps }: Work, number: number): string {
  return steps?.[number - 1]?.name ?? `step-${number}`;
}
