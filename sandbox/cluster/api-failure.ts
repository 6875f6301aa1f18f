import type { RequestFacts } from './faults.ts';
import { API_VERSION, GROUP, KINDS, type JsonObject, type Resource } from './objects.ts';

/** An error in the apiserver's format: a `Status` object with its HTTP status. */
export class ApiFailure extends Error {
  readonly status: JsonObject;
  readonly code: number;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: number, reason: string, message: string, details?: JsonObject) {
    super(message);
    this.name = 'ApiFailure';
    this.code = code;
    this.retryAfterSeconds =
      typeof details?.['retryAfterSeconds'] === 'number' ? details['retryAfterSeconds'] : undefined;
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason === '' ? {} : { reason }),
      ...(details === undefined ? {} : { details }),
      code,
    };
  }
}

export interface FieldError {
  readonly field: string;
  readonly reason: 'FieldValueInvalid' | 'FieldValueRequired' | 'FieldValueTooLong';
  readonly message: string;
}

export function notFound(resource: Resource, name: string): ApiFailure {
  return new ApiFailure(404, 'NotFound', `${resource}.${GROUP} "${name}" not found`, about(resource, name));
}

export function namespaceNotFound(namespace: string): ApiFailure {
  return new ApiFailure(404, 'NotFound', `namespaces "${namespace}" not found`, {
    name: namespace,
    kind: 'namespaces',
  });
}

export function alreadyExists(resource: Resource, name: string): ApiFailure {
  return new ApiFailure(409, 'AlreadyExists', `${resource}.${GROUP} "${name}" already exists`, about(resource, name));
}

export function conflict(resource: Resource, name: string, why: string): ApiFailure {
  const message = `Operation cannot be fulfilled on ${resource}.${GROUP} "${name}": ${why}`;
  return new ApiFailure(409, 'Conflict', message, about(resource, name));
}

export function invalid(
  resource: Resource,
  name: string,
  errors: readonly FieldError[],
  kind = KINDS[resource],
): ApiFailure {
  const texts = errors.map((error) => `${error.field}: ${error.message}`);
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  return new ApiFailure(422, 'Invalid', `${kind}.${GROUP} "${name}" is invalid: ${list}`, {
    name,
    group: GROUP,
    kind,
    causes: errors.map(({ field, reason, message }) => ({ reason, message, field })),
  });
}

/** A JSON Patch that does not fit the object: one of its tests failed, or a path is missing. */
export function patchFailed(): ApiFailure {
  return new ApiFailure(422, 'Invalid', 'the server rejected our request due to an error in our request', {});
}

/** Invalid options of a list, which are an object of their own. */
export function invalidListOptions(message: string): ApiFailure {
  const text = `ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: ${message}`;
  return new ApiFailure(422, 'Invalid', text, { group: 'meta.k8s.io', kind: 'ListOptions' });
}

/** An unmapped Go error: a 500 without a reason. */
export function internal(message: string): ApiFailure {
  return new ApiFailure(500, '', message);
}

export function badRequest(message: string): ApiFailure {
  return new ApiFailure(400, 'BadRequest', message);
}

export function unauthorized(): ApiFailure {
  return new ApiFailure(401, 'Unauthorized', 'Unauthorized');
}

export type Asker = 'facteur' | 'anonymous';

export const USERS: Readonly<Record<Asker, string>> = {
  facteur: 'User "system:serviceaccount:facteur:facteur"',
  anonymous: 'User "system:anonymous"',
};

/** RBAC's text for an object. */
export function forbidden({ verb, resource, namespace, name }: RequestFacts, asker: Asker = 'facteur'): ApiFailure {
  const what = `cannot ${verb} resource "${resource}" in API group "${GROUP}" in the namespace "${namespace}"`;
  const message = `${titleOf(resource, name)} is forbidden: ${USERS[asker]} ${what}`;
  return new ApiFailure(403, 'Forbidden', message, about(resource, name));
}

/** RBAC's text for a path that is not an object's. */
export function forbiddenPath(path: string): ApiFailure {
  return new ApiFailure(403, 'Forbidden', `forbidden: ${USERS.facteur} cannot get path "${path}"`, {});
}

/** The text of an admission plugin. */
export function quotaForbidden(name: string, why: string): ApiFailure {
  const message = `${titleOf('workflows', name)} is forbidden: ${why}`;
  return new ApiFailure(403, 'Forbidden', message, about('workflows', name));
}

function titleOf(resource: Resource, name: string): string {
  return name === '' ? `${resource}.${GROUP}` : `${resource}.${GROUP} "${name}"`;
}

export function unsupportedMediaType(accepted: readonly string[]): ApiFailure {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  return new ApiFailure(415, 'UnsupportedMediaType', message);
}

export function bodyTooLarge(limit: number): ApiFailure {
  return new ApiFailure(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limit}`);
}

/** etcd's limit on one request as clients see it: a 500 without a reason. */
export function objectTooLarge(): ApiFailure {
  return internal('etcdserver: request is too large');
}

export function expired(message: string): ApiFailure {
  return new ApiFailure(410, 'Expired', message);
}

export function tooManyRequests(retryAfterSeconds: number): ApiFailure {
  const message = 'Too many requests, please try again later.';
  return new ApiFailure(429, 'TooManyRequests', message, { retryAfterSeconds });
}

/** The cache behind lists and watches is not filled yet, as after a start. */
export function storageInitializing(): ApiFailure {
  return new ApiFailure(429, 'TooManyRequests', 'storage is (re)initializing', { retryAfterSeconds: 1 });
}

/** A resource version in the future, as after a restore from a backup. */
export function versionTooLarge(asked: number, current: number): ApiFailure {
  const message = `Too large resource version: ${asked}, current: ${current}`;
  return new ApiFailure(504, 'Timeout', message, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

function about(resource: Resource, name: string): JsonObject {
  return { ...(name === '' ? {} : { name }), group: GROUP, kind: resource };
}

/** The answer to a successful delete. */
export function deleted(resource: Resource, name: string, uid: string): JsonObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { ...about(resource, name), uid },
  };
}

/** The `apiVersion` and `kind` of a list. */
export function listType(resource: Resource): { readonly apiVersion: string; readonly kind: string } {
  return { apiVersion: API_VERSION, kind: `${KINDS[resource]}List` };
}
