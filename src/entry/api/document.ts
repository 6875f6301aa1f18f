import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiResponseObject } from 'zod-openapi';
import * as z from 'zod';
import type { ApiRoute } from './route.ts';

/** The body of every error response (RFC 9457). */
const PROBLEM = z
  .strictObject({
    type: z
      .string()
      .meta({ description: 'A URN that contains the code.', examples: ['urn:facteur:problem:run_not_found'] }),
    title: z.string(),
    status: z.int(),
    code: z.string().meta({ description: 'Stable code for clients.' }),
    detail: z.string().meta({ description: 'Explanation for people; may change.' }),
    errors: z
      .array(z.strictObject({ field: z.string(), message: z.string() }))
      .optional()
      .meta({ description: 'All errors of the request, each with its position.' }),
  })
  .meta({ id: 'Problem' });

const PROBLEMS: Readonly<Record<number, string>> = {
  400: 'The request is invalid; `errors` lists all errors.',
  401: 'Missing or invalid token.',
  403: 'The token has no permission.',
  404: 'Not found, or not visible to the caller.',
  413: 'The body exceeds the limit.',
  415: 'The body is not JSON, or is compressed.',
  429: 'The run reports too often; `Retry-After` says when to retry.',
  503: 'The database does not answer; `Retry-After` says when to retry.',
};

/** The OpenAPI 3.1 document of a table of routes, ready for JSON. */
export function apiDocument<Deps>(routes: readonly ApiRoute<Deps>[]): object {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const route of routes) {
    (paths[route.path] ??= {})[route.method.toLowerCase()] = operationOf(route);
  }
  const document = createDocument({
    openapi: '3.1.1',
    info: {
      title: 'facteur',
      // The version of the API, not of the program: it changes when clients must change.
      version: '1',
      description: 'Runs of Argo Workflows and their data. Errors are `application/problem+json` (RFC 9457).',
    },
    security: [{ token: [] }],
    paths,
    components: {
      schemas: eventsOf(routes),
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'A token of `server.api_tokens`, or the capability that a workflow received (`facteur_token`).',
        },
      },
    },
  });
  for (const route of routes) {
    giveExamples(route, document.paths?.[route.path]?.[route.method.toLowerCase() as 'get']?.parameters ?? []);
  }
  return document;
}

/** The parameters come from whole schemas, which have no place for the examples of one route. */
function giveExamples<Deps>({ example }: ApiRoute<Deps>, parameters: readonly object[]): void {
  const given: Readonly<Record<string, string | undefined>> = {
    ...example.params,
    ...example.query,
    'Idempotency-Key': example.idempotencyKey,
  };
  for (const parameter of parameters as { readonly name: string; example?: string }[]) {
    const value = given[parameter.name];
    if (value !== undefined) {
      parameter.example = value;
    }
  }
}

/** The schemas of server-sent events, which no response refers to. */
function eventsOf<Deps>(routes: readonly ApiRoute<Deps>[]): Record<string, z.ZodType> {
  const events = routes.flatMap(({ answers }) => Object.values(answers).flatMap(({ event }) => event ?? []));
  return Object.fromEntries(events.map((event) => [String(z.globalRegistry.get(event)?.id), event]));
}

function operationOf<Deps>(route: ApiRoute<Deps>): ZodOpenApiOperationObject {
  const { who } = route;
  const reach = who.self === true ? ` A run's token may access its own run.` : '';
  return {
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    description: `Requires the scope \`${who.scope}\`.${reach}`,
    requestParams: {
      ...(route.params === undefined ? {} : { path: route.params as z.ZodObject }),
      ...(route.query === undefined ? {} : { query: route.query as z.ZodObject }),
      ...headersOf(route),
    },
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: route.body, example: route.example.body } },
          },
        }),
    responses: Object.fromEntries([...successes(route), ...problems(route)]),
  };
}

function headersOf<Deps>({ idempotencyKey, resumable }: ApiRoute<Deps>): { readonly header?: z.ZodObject } {
  if (resumable === true) {
    const id = z.string().meta({ description: 'The `id` of the last received event; the stream continues after it.' });
    return { header: z.object({ 'Last-Event-ID': id.optional() }) };
  }
  return idempotencyKey === undefined ? {} : { header: keyHeader(idempotencyKey) };
}

function keyHeader(presence: 'optional' | 'required'): z.ZodObject {
  const key = z.string().min(1).max(255);
  const described = (presence === 'required' ? key : key.optional()).meta({
    description: 'Repeating a request with the same key changes nothing.',
  });
  return z.object({ 'Idempotency-Key': described });
}

function successes<Deps>({ answers, example }: ApiRoute<Deps>): [string, ZodOpenApiResponseObject][] {
  return Object.entries(answers)
    .filter(([status]) => Number(status) < 400)
    .map(([status, { description, schema, contentType = 'application/json' }]) => [
      status,
      {
        description,
        ...(schema === undefined ? {} : { content: { [contentType]: { schema, example: example.answer } } }),
      },
    ]);
}

function problems<Deps>({ answers, body, who }: ApiRoute<Deps>): [string, ZodOpenApiResponseObject][] {
  const own = Object.keys(answers).map(Number);
  const statuses = new Set([
    ...own,
    ...[400, 401, 403, 404, 503],
    ...(body === undefined ? [] : [413, 415]),
    ...(who.self === true ? [429] : []),
  ]);
  return [...statuses]
    .filter((status) => status >= 400)
    .toSorted((one, other) => one - other)
    .map((status) => [
      String(status),
      {
        description: answers[status]?.description ?? PROBLEMS[status] ?? '',
        content: { 'application/problem+json': { schema: PROBLEM } },
      },
    ]);
}
