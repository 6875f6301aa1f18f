export const GROUP = 'argoproj.io';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

export type Resource = 'workflows' | 'workflowtemplates';

export const KINDS: Readonly<Record<Resource, string>> = {
  workflows: 'Workflow',
  workflowtemplates: 'WorkflowTemplate',
};

export type JsonObject = Readonly<Record<string, unknown>>;

export interface ObjectMeta {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
  readonly generation: number;
  readonly generateName?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A stored object. Never changed in place: a new version is a new object. */
export interface ApiObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec: JsonObject;
  readonly status?: JsonObject;
}

export const NO_LABELS: Readonly<Record<string, string>> = {};

/** A string field of an object, or empty. */
export function textField(object: JsonObject | undefined, key: string): string {
  const value = object?.[key];
  return typeof value === 'string' ? value : '';
}
