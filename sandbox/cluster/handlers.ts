import { isRecord } from '../../src/base/json.ts';
import type { Access } from './access.ts';
import { badRequest, conflict, deleted, internal, invalid, namespaceNotFound, notFound } from './api-failure.ts';
import { checkMediaType, parseList, parseObject } from './body.ts';
import type { RequestFacts } from './faults.ts';
import { jsonPatch } from './json-patch.ts';
import { listPage } from './lists.ts';
import { mergePatch } from './merge-patch.ts';
import { KINDS, API_VERSION, textField, type ApiObject, type JsonObject, type ObjectMeta } from './objects.ts';
import { checkQuota } from './quota.ts';
import { randomSuffix } from './random.ts';
import type { Entry, NewObject, Store } from './store.ts';
import { checkEnvelope, checkKind, checkNamespace, checkObject, textsOf } from './validation.ts';

export interface ApiRequest extends RequestFacts {
  /** True for the path without a namespace. */
  readonly allNamespaces: boolean;
  readonly query: URLSearchParams;
  readonly contentType: string | undefined;
  readonly accept: string | undefined;
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
  readonly control: { readonly access: Access };
}

const TEXT_MAPS = new Set(['labels', 'annotations']);

/** `generateName` is cut so that name and suffix fit a label. */
const MAX_GENERATED_BASE = 58;
const GIVEN_BY_SERVER = new Set(['uid', 'resourceVersion', 'creationTimestamp', 'generation', 'managedFields']);

/** Executes every verb except watch; throws ApiFailure. */
export function execute(request: ApiRequest, deps: HandlerDeps): ApiAnswer {
  const { store } = deps;
  const { resource, namespace, name } = request;
  switch (request.verb) {
    case 'create':
      return { status: 201, body: inForm(create(request, deps), request.accept) };
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

/** The object in the preferred accepted format: complete, or only its metadata. */
function inForm({ json, object }: Entry, accept = ''): string {
  const [first = ''] = accept.split(',');
  const parameters = new Set(first.split(';').map((part) => part.trim()));
  const metadataOnly = ['as=PartialObjectMetadata', 'g=meta.k8s.io', 'v=v1'].every((part) => parameters.has(part));
  const { metadata } = object;
  return metadataOnly
    ? JSON.stringify({ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata })
    : json;
}

/** The namespace to use; undefined means all. */
export function namespaceOf(request: ApiRequest): string | undefined {
  return request.allNamespaces ? undefined : request.namespace;
}

function create(request: ApiRequest, { store, namespaces, random, control }: HandlerDeps): Entry {
  const { resource, namespace } = request;
  checkMediaType(request.contentType, ['application/json']);
  const object = parseObject(request.body);
  if (!namespaces.has(namespace)) {
    throw namespaceNotFound(namespace);
  }
  checkEnvelope(resource, namespace, object);
  const metadata = isRecord(object['metadata']) ? object['metadata'] : {};
  if (textField(metadata, 'resourceVersion') !== '') {
    throw internal('resourceVersion should not be set on objects to be created');
  }
  const name = finalName(metadata, random);
  checkObject(resource, name, object);
  const quota = control.access.quotaOf(namespace);
  if (resource === 'workflows' && quota !== undefined) {
    checkQuota(store, namespace, name, quota);
  }
  const wanted: NewObject = {
    apiVersion: API_VERSION,
    kind: KINDS[resource],
    metadata: { ...keptMeta(metadata), name, namespace },
    spec: object['spec'] as JsonObject,
    // Workflows have no status subresource, so clients that may write a workflow may write its status.
    ...(isRecord(object['status']) ? { status: object['status'] } : {}),
  };
  return request.query.get('dryRun') === 'All' ? store.tryCreate(resource, wanted) : store.create(resource, wanted);
}

function keptMeta(metadata: JsonObject): JsonObject {
  const kept = Object.entries(metadata).filter(([key]) => !GIVEN_BY_SERVER.has(key));
  return Object.fromEntries(
    kept.map(([key, value]) => [key, TEXT_MAPS.has(key) && isRecord(value) ? textsOf(value) : value]),
  );
}

function finalName(metadata: JsonObject, random: () => number): string {
  const name = textField(metadata, 'name');
  const base = textField(metadata, 'generateName');
  return name === '' && base !== '' ? base.slice(0, MAX_GENERATED_BASE) + randomSuffix(random) : name;
}

const MERGE_PATCH = 'application/merge-patch+json';
const JSON_PATCH = 'application/json-patch+json';

function patch(request: ApiRequest, store: Store): Entry {
  const { resource, namespace, name } = request;
  const type = checkMediaType(request.contentType ?? 'none', [MERGE_PATCH, JSON_PATCH]);
  const current = store.get(resource, namespace, name);
  if (type === JSON_PATCH) {
    return patched(request, store, { current, merged: jsonPatch({ ...current.object }, parseList(request.body)) });
  }
  const change = parseObject(request.body);
  const wanted = isRecord(change['metadata']) ? change['metadata'] : {};
  checkNamespace(namespace, wanted);
  checkKind(resource, name, { kind: KINDS[resource], ...change });
  checkPreconditions(request, current, wanted);
  return patched(request, store, { current, merged: mergePatch({ ...current.object }, change) });
}

/** Stores a patched object. */
function patched(
  { resource, name }: ApiRequest,
  store: Store,
  { current, merged }: { readonly current: Entry; readonly merged: JsonObject },
): Entry {
  const metadata = isRecord(merged['metadata']) ? merged['metadata'] : {};
  const result: ApiObject = {
    ...merged,
    apiVersion: current.object.apiVersion,
    kind: current.object.kind,
    metadata: { ...(metadata as unknown as ObjectMeta), ...fixedMeta(current.object.metadata) },
    spec: merged['spec'] as JsonObject,
  };
  checkObject(resource, name, { ...result });
  // A patch without a change is not written: no new version, no event.
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
    const message = `Invalid value: ${JSON.stringify(askedUid)}: field is immutable`;
    throw invalid(resource, name, [{ field: 'metadata.uid', reason: 'FieldValueInvalid', message }]);
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
