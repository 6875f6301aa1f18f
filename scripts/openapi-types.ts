/** The parts of an OpenAPI 3.1 document that this script reads. */
export interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
}

interface Parameter {
  readonly in: string;
  readonly name: string;
  readonly required?: boolean;
  readonly schema: Schema;
}

type Content = Readonly<Record<string, { readonly schema: Schema }>>;

interface Schema {
  readonly $ref?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly type?: string | readonly string[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
}

const HEAD = `// Written by \`npm run openapi\` from docs/openapi.json.

`;

/**
 * TypeScript for a document: a type for each named schema, and for each operation its request and its successful answer. The
 * generators on npm need the JavaScript API of TypeScript 5.
 */
export function typesOf({ paths, components }: OpenApiDocument): string {
  const named = Object.entries(components.schemas).map(
    ([name, schema]) => `export type ${name} = ${typeOf(schema)};\n`,
  );
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const types = operations.map(
    ({ operation }) =>
      `  readonly ${operation.operationId}: { readonly request: ${requestOf(operation)}; readonly answer: ${answerOf(operation)} };\n`,
  );
  const places = operations.map(
    ({ path, method, operation }) =>
      `  ${operation.operationId}: { method: '${method}', path: '${path}', answers: '${firstField(operation, components.schemas)}' },\n`,
  );
  return [
    HEAD,
    named.join('\n'),
    `\n/** By \`operationId\`. */\nexport interface Operations {\n${types.join('')}}\n`,
    `\n/** The method and path of each operation, and a field that its answers have; empty if unknown. */\nexport const OPERATIONS = {\n${places.join('')}} as const;\n`,
  ].join('');
}

function requestOf({ parameters = [], requestBody }: Operation): string {
  const groups = (['path', 'query'] as const).flatMap((place) => {
    const here = parameters.filter((parameter) => parameter.in === place);
    const fields = here.map(({ name, required, schema }) => fieldOf(name, schema, required === true));
    const mark = here.some(({ required }) => required === true) ? '' : '?';
    return here.length === 0 ? [] : [`readonly ${place}${mark}: { ${fields.join('; ')} }`];
  });
  const body = requestBody?.content['application/json'];
  return objectOf([...groups, ...(body === undefined ? [] : [`readonly body: ${typeOf(body.schema)}`])]);
}

function answerOf({ responses }: Operation): string {
  const successes = Object.entries(responses).filter(([status]) => status.startsWith('2'));
  const types = successes.map(([, { content = {} }]) => {
    const json = content['application/json'];
    return json === undefined ? 'undefined' : typeOf(json.schema);
  });
  return [...new Set(types)].join(' | ');
}

/** The first required field of a successful answer: required fields are never removed. */
function firstField({ responses }: Operation, named: Readonly<Record<string, Schema>>): string {
  const [, success] = Object.entries(responses).find(([status]) => status.startsWith('2')) ?? [];
  const { $ref, ...schema } = success?.content?.['application/json']?.schema ?? {};
  const { required = [] } = $ref === undefined ? schema : (named[typeOf({ $ref })] ?? {});
  return required[0] ?? '';
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) {
    return schema.$ref.split('/').at(-1) ?? 'unknown';
  }
  if (schema.const !== undefined) {
    return JSON.stringify(schema.const);
  }
  const choices = schema.enum?.map((value) => JSON.stringify(value)) ?? schema.anyOf?.map(typeOf);
  if (choices !== undefined) {
    return choices.join(' | ');
  }
  const { type = [] } = schema;
  const types = [type].flat().map((one) => plainType(one, schema));
  return types.length === 0 ? 'unknown' : types.join(' | ');
}

function plainType(type: string, schema: Schema): string {
  switch (type) {
    case 'integer':
      return 'number';
    case 'array':
      return `readonly (${typeOf(schema.items ?? {})})[]`;
    case 'object':
      return objectType(schema);
    default:
      return type;
  }
}

function objectType({ properties = {}, required = [], additionalProperties }: Schema): string {
  const fields = Object.entries(properties).map(([name, inner]) => fieldOf(name, inner, required.includes(name)));
  const others =
    typeof additionalProperties === 'object' ? [`readonly [name: string]: ${typeOf(additionalProperties)}`] : [];
  return objectOf([...fields, ...others]);
}

function fieldOf(name: string, schema: Schema, required: boolean): string {
  return `readonly ${name}${required ? '' : '?'}: ${typeOf(schema)}${required ? '' : ' | undefined'}`;
}

function objectOf(fields: readonly string[]): string {
  return fields.length === 0 ? '{}' : `{ ${fields.join('; ')} }`;
}
