import { isRecord } from '../../base/json.ts';
import type { Operation } from './answers.ts';
import { ArgoError } from './errors.ts';
import type { Workflow, WorkflowTemplate } from './workflows.ts';

/** Converts JSON to an object whose identity was checked. */
export type ReadObject<T> = (value: unknown, operation: Operation) => T;

/** One page of a list. */
export interface Page<T> {
  readonly objects: readonly T[];
  readonly resourceVersion: string;
  readonly continue: string;
}

/** Reads a Workflow and checks its identity: name, namespace and uid must be present. */
export function readWorkflow(value: unknown, operation: Operation): Workflow {
  if (!hasIdentity(value)) {
    throw badAnswer(operation, 'the response is not a Workflow');
  }
  return value as Workflow;
}

export function readWorkflowTemplate(value: unknown, operation: Operation): WorkflowTemplate {
  if (!hasIdentity(value)) {
    throw badAnswer(operation, 'the response is not a WorkflowTemplate');
  }
  return value as WorkflowTemplate;
}

export function readPage<T>(value: unknown, operation: Operation, readObject: ReadObject<T>): Page<T> {
  const metadata = isRecord(value) ? value['metadata'] : undefined;
  if (!isRecord(value) || !isRecord(metadata) || typeof metadata['resourceVersion'] !== 'string') {
    throw badAnswer(operation, 'the response is not a list');
  }
  // Go encodes an empty slice as null in some places.
  const items = value['items'] ?? [];
  if (!Array.isArray(items)) {
    throw badAnswer(operation, 'the response is not a list');
  }
  return {
    objects: items.map((item) => readObject(item, operation)),
    resourceVersion: metadata['resourceVersion'],
    continue: typeof metadata['continue'] === 'string' ? metadata['continue'] : '',
  };
}

function hasIdentity(value: unknown): boolean {
  const metadata = isRecord(value) ? value['metadata'] : undefined;
  return isRecord(metadata) && ['name', 'namespace', 'uid'].every((key) => typeof metadata[key] === 'string');
}

function badAnswer(operation: Operation, why: string): ArgoError {
  return new ArgoError('argo.bad_answer', `cannot ${operation.name}: ${why}`, { ambiguous: operation.write });
}
