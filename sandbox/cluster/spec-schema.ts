import { isRecord } from '../../src/base/json.ts';
import type { FieldError } from './api-failure.ts';

/** A JSON type, or the shape of its contents. */
type Schema = 'string' | { readonly list: Schema } | { readonly each: Schema } | Shape;
interface Shape {
  readonly fields: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

/** The fields in the schema of workflows that facteur writes. Other fields may be anything. */
const SPEC: Shape = {
  fields: {
    entrypoint: 'string',
    serviceAccountName: 'string',
    shutdown: 'string',
    workflowTemplateRef: { fields: { name: 'string' } },
    arguments: {
      fields: { parameters: { list: { fields: { name: 'string', value: 'string' }, required: ['name'] } } },
    },
  },
};

/** The fields of the status that are checked, because clients may write them. */
const STATUS: Shape = {
  fields: {
    nodes: { each: { fields: { id: 'string', name: 'string', type: 'string' }, required: ['id', 'name', 'type'] } },
  },
};

/** Violations of the custom resource's schema in a status. */
export function statusErrors(status: unknown): FieldError[] {
  return status === undefined ? [] : errorsOf('status', status, STATUS);
}

/** Violations of the custom resource's schema in a specification. */
export function specErrors(spec: unknown): FieldError[] {
  return spec === undefined ? [required('spec')] : errorsOf('spec', spec, SPEC);
}

function errorsOf(path: string, value: unknown, schema: Schema): FieldError[] {
  if (schema === 'string') {
    return typeof value === 'string' ? [] : [wrongType(path, 'string', value)];
  }
  if ('list' in schema) {
    return Array.isArray(value)
      ? value.flatMap((item: unknown, index) => errorsOf(`${path}[${index}]`, item, schema.list))
      : [wrongType(path, 'array', value)];
  }
  if (!isRecord(value)) {
    return [wrongType(path, 'object', value)];
  }
  if ('each' in schema) {
    return Object.entries(value).flatMap(([name, item]) => errorsOf(`${path}.${name}`, item, schema.each));
  }
  const { fields, required: needed = [] } = schema;
  return [
    ...needed.filter((name) => value[name] === undefined).map((name) => required(`${path}.${name}`)),
    ...Object.entries(fields).flatMap(([name, field]) =>
      value[name] === undefined ? [] : errorsOf(`${path}.${name}`, value[name], field),
    ),
  ];
}

function required(field: string): FieldError {
  return { field, reason: 'FieldValueRequired', message: 'Required value' };
}

function wrongType(field: string, wanted: string, value: unknown): FieldError {
  const type = typeOf(value);
  const message = `Invalid value: "${type}": ${field} in body must be of type ${wanted}: "${type}"`;
  return { field, reason: 'FieldValueInvalid', message };
}

/** The OpenAPI name of a value's type. */
function typeOf(value: unknown): string {
  if (Array.isArray(value)) {
    return 'array';
  }
  if (value === null) {
    return 'null';
  }
  return Number.isInteger(value) ? 'integer' : typeof value;
}
