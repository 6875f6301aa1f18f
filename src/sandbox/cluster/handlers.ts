import { isRecord } from '../../base/json.ts';
import { badRequest, conflict, deleted, namespaceNotFound, notFound } from './api-failure.ts';
import { checkMediaType, parseObject } from './body.ts';
import type { RequestFacts } from './faults.ts';
import { listPage } from './lists.ts';
import { mergePatch } from './merge-patch.ts';
import { KINDS, API_VERSION, textField, type ApiObject, type JsonObject, type ObjectMeta } from './objects.ts';
import { randomSuffix } from './random.ts';
import type { Entry, Store } from './store.ts';
import { checkEnvelope, checkObject } from './validation.ts';

export interface ApiRequest extends RequestFacts {
  /** True for the path without a namespace. */
  readonly allNamespaces: boolean;
  readonly query: URLSearchParams;
  readonly contentType: string | undefined;
  readonly body: string;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: string;
}

export interface HandlerDeps {
  readonly store: Store;
  readonly namespaces: ReadonlySet<string>;
  readonly random: () => number;
}

/** `generateName` is cut so that name and suffix fit a label. */
const MAX_GENERATED_BASE = 58;
const GIVEN_BY_SERVER = new Set(['uid', 'resourceVersion', 'creationTimestamp', 'generation', 'managedFields']);

/** Carries out every verb but watch; throws ApiFailure. */
export function execute(request: ApiRequest, deps: HandlerDeps): ApiAnswer {
  const { store } = deps;
  const { resource, namespace, name } = request;
  switch (request.verb) {
    case 'create':
      return { status: 201, body: create(request, deps).json };
    case 'get':
      return { status: 200, body: store.get(resource, namespace, name).json };
    case 'patch':
      return { status: 200, body: patch(request, store).json };
    case 'delete':
      return { status: 200, body: JSON.stringify(remove(request, store)) };
    case 'list':
    case 'watch':
      return { status: 200, body: listPage(store, { ...request, namespace: namespaceOf(request) }) };
  }
}

/** The namespace to look at; undefined is all. */
export function namespaceOf(request: ApiRequest): string | undefined {
  return request.allNamespaces ? undefined : request.namespace;
}

function create(request: ApiRequest, { store, namespaces, random }: HandlerDeps): Entry {
  const { resource, namespace } = request;
  checkMediaType(request.contentType, ['application/json']);
  const object = parseObject(request.body);
  if (!namespaces.has(namespace)) {
    throw namespaceNotFound(namespace);
  }
  checkEnvelope(resource, namespace, object);
  const metadata = isRecord(object['metadata']) ? object['metadata'] : {};
  if (textField(metadata, 'resourceVersion') !== '') {
    throw badRequest('resourceVersion should not be set on objects to be created');
  }
  const name = finalName(metadata, random);
  checkObject(resource, name, object);
  const kept = Object.entries(metadata).filter(([key]) => !GIVEN_BY_SERVER.has(key));
  return store.create(resource, {
    apiVersion: API_VERSION,
    kind: KINDS[resource],
    metadata: { ...Object.fromEntries(kept), name, namespace },
    spec: object['spec'] as JsonObject,
  });
}

function finalName(metadata: JsonObject, random: () => number): string {
  const name = textField(metadata, 'name');
  const base = textField(metadata, 'generateName');
  return name === '' && base !== '' ? base.slice(0, MAX_GENERATED_BASE) + randomSuffix(random) : name;
}

function patch(request: ApiRequest, store: Store): Entry {
  const { resource, namespace, name } = request;
  checkMediaType(request.contentType ?? 'none', ['application/merge-patch+json']);
  const change = parseObject(request.body);
  const current = store.get(resource, namespace, name);
  checkPreconditions(request, current, isRecord(change['metadata']) ? change['metadata'] : {});
  const merged = mergePatch({ ...current.object }, change);
  const metadata = isRecord(merged['metadata']) ? merged['metadata'] : {};
  const result: ApiObject = {
    ...merged,
    apiVersion: current.object.apiVersion,
    kind: current.object.kind,
    metadata: { ...(metadata as unknown as ObjectMeta), ...fixedMeta(current.object.metadata) },
    spec: merged['spec'] as JsonObject,
  };
  checkObject(resource, name, { ...result });
  // A patch that changes nothing is not written: no new version, no event.
  return store.update(resource, current, 'patch', (object) =>
    JSON.stringify(result) === current.json ? object : result,
  );
}

function fixedMeta({ name, namespace, uid, resourceVersion, creationTimestamp, generation }: ObjectMeta): ObjectMeta {
  return { name, namespace, uid, resourceVersion, creationTimestamp, generation };
}

function checkPreconditions(request: ApiRequest, current: Entry, wanted: JsonObject): void {
  const { resource, name } = request;
  const { uid, resourceVersion } = current.object.metadata;
  const askedName = textField(wanted, 'name');
  if (askedName !== '' && askedName !== name) {
    throw badRequest(`the name of the object (${askedName}) does not match the name on the URL (${name})`);
  }
  const askedUid = textField(wanted, 'uid');
  if (askedUid !== '' && askedUid !== uid) {
    throw conflict(resource, name, `Precondition failed: UID in precondition: ${askedUid}, UID in object meta: ${uid}`);
  }
  const askedVersion = textField(wanted, 'resourceVersion');
  if (askedVersion !== '' && askedVersion !== resourceVersion) {
    throw conflict(
      resource,
      name,
      'the object has been modified; please apply your changes to the latest version and try again',
    );
  }
}

function remove(request: ApiRequest, store: Store): JsonObject {
  const { resource, namespace, name } = request;
  const options = request.body === '' ? {} : parseObject(request.body);
  const preconditions = isRecord(options['preconditions']) ? options['preconditions'] : {};
  const current = store.find(resource, namespace, name);
  if (current === undefined) {
    throw notFound(resource, name);
  }
  const { uid } = current.object.metadata;
  const asked = textField(preconditions, 'uid');
  if (asked !== '' && asked !== uid) {
    const why = `the UID in the precondition (${asked}) does not match the UID in record (${uid}). The object might have been deleted and then recreated`;
    throw conflict(resource, name, why);
  }
  store.delete(resource, current);
  return deleted(resource, name, uid);
}
