import { isRecord } from '../../src/base/json.ts';
import { badRequest, invalid, type FieldError } from './api-failure.ts';
import { API_VERSION, KINDS, textField, type JsonObject, type Resource } from './objects.ts';
import { specErrors, statusErrors } from './spec-schema.ts';

const SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const QUALIFIED = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const MAX_NAME = 253;
const MAX_LABEL = 63;
const MAX_ANNOTATIONS_BYTES = 256 * 1024;

const SUBDOMAIN_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const KEY_RULE =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_RULE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** Refuses anything but an object of this kind for this namespace. */
export function checkEnvelope(resource: Resource, namespace: string, object: JsonObject): void {
  const apiVersion = textField(object, 'apiVersion');
  if (textField(object, 'kind') === '') {
    throw badRequest("the object provided is unrecognized (must be of type Workflow): Object 'Kind' is missing");
  }
  if (apiVersion !== API_VERSION) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${API_VERSION})`,
    );
  }
  const metadata = object['metadata'] ?? {};
  if (!isRecord(metadata)) {
    throw badRequest('json: cannot unmarshal into Go struct field .metadata of type v1.ObjectMeta');
  }
  checkKind(resource, textField(metadata, 'name'), object);
  checkNamespace(namespace, metadata);
}

/** Refuses (422) an object of another kind. */
export function checkKind(resource: Resource, name: string, object: JsonObject): void {
  const kind = textField(object, 'kind');
  if (kind !== KINDS[resource]) {
    throw invalid(resource, name, [invalidValue('kind', kind, `must be ${KINDS[resource]}`)], kind);
  }
}

/** Refuses (400) metadata with a namespace other than the path's. */
export function checkNamespace(namespace: string, metadata: JsonObject): void {
  const own = textField(metadata, 'namespace');
  if (own !== '' && own !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
}

/** Refuses (422) an object whose metadata the apiserver would not store. `name` is the final one. */
export function checkObject(resource: Resource, name: string, object: JsonObject): void {
  const metadata = isRecord(object['metadata']) ? object['metadata'] : {};
  const errors = [
    ...nameErrors(name),
    ...labelErrors(metadata['labels']),
    ...annotationErrors(metadata['annotations']),
    ...specErrors(object['spec']),
    ...statusErrors(object['status']),
  ];
  if (errors.length > 0) {
    throw invalid(resource, name, errors);
  }
}

function nameErrors(name: string): FieldError[] {
  const field = 'metadata.name';
  if (name === '') {
    return [{ field, reason: 'FieldValueRequired', message: 'Required value: name or generateName is required' }];
  }
  const faults = [
    ...(name.length > MAX_NAME ? [`must be no more than ${MAX_NAME} bytes`] : []),
    ...(SUBDOMAIN.test(name) ? [] : [SUBDOMAIN_RULE]),
  ];
  return faults.map((fault) => invalidValue(field, name, fault));
}

function labelErrors(labels: unknown): FieldError[] {
  return entriesOf('metadata.labels', labels).flatMap(([key, value]) => [
    ...keyErrors('metadata.labels', key),
    ...(value.length > MAX_LABEL
      ? [invalidValue('metadata.labels', value, `must be no more than ${MAX_LABEL} bytes`)]
      : []),
    ...(value === '' || QUALIFIED.test(value) ? [] : [invalidValue('metadata.labels', value, VALUE_RULE)]),
  ]);
}

function annotationErrors(annotations: unknown): FieldError[] {
  const field = 'metadata.annotations';
  const entries = entriesOf(field, annotations);
  let bytes = 0;
  for (const [key, value] of entries) {
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  return [
    ...entries.flatMap(([key]) => keyErrors(field, key.toLowerCase())),
    ...(bytes > MAX_ANNOTATIONS_BYTES
      ? [
          {
            field,
            reason: 'FieldValueTooLong' as const,
            message: `Too long: may not be more than ${MAX_ANNOTATIONS_BYTES} bytes`,
          },
        ]
      : []),
  ];
}

function keyErrors(field: string, key: string): FieldError[] {
  const slash = key.indexOf('/');
  const prefix = slash === -1 ? undefined : key.slice(0, slash);
  const name = key.slice(slash + 1);
  const faults = [
    ...(prefix !== undefined && (prefix.length > MAX_NAME || !SUBDOMAIN.test(prefix))
      ? [`prefix part ${SUBDOMAIN_RULE}`]
      : []),
    ...(name.length > MAX_LABEL ? [`name part must be no more than ${MAX_LABEL} bytes`] : []),
    ...(QUALIFIED.test(name) ? [] : [KEY_RULE]),
  ];
  return faults.map((fault) => invalidValue(field, key, fault));
}

function entriesOf(field: string, map: unknown): [string, string][] {
  if (map === undefined || map === null) {
    return [];
  }
  const entries = Object.entries(textsOf(isRecord(map) ? map : {}));
  const texts = entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  if (!isRecord(map) || texts.length !== entries.length) {
    // Go's decoder refuses this before anything is validated.
    throw badRequest(`json: cannot unmarshal into Go struct field .${field} of type map[string]string`);
  }
  return texts;
}

/** Go decodes null as an empty string. */
export function textsOf(map: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, value ?? '']));
}

function invalidValue(field: string, value: string, fault: string): FieldError {
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${fault}` };
}
