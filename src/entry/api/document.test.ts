import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { apiDocument } from './document.ts';
import { API_ROUTES } from './routes.ts';

const document: { readonly paths: Readonly<Record<string, Readonly<Record<string, object>>>> } = JSON.parse(
  JSON.stringify(apiDocument(API_ROUTES)),
);

test('docs/openapi.json is up to date: run "npm run openapi" if this fails', () => {
  const page = readFileSync(new URL('../../../docs/openapi.json', import.meta.url), 'utf8');
  expect(JSON.parse(page)).toEqual(document);
});

test('describes every route once, with a unique operation id', () => {
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(described.toSorted()).toEqual(API_ROUTES.map(({ method, path }) => `${method} ${path}`).toSorted());
  expect(new Set(API_ROUTES.map(({ operationId }) => operationId)).size).toBe(API_ROUTES.length);
});

test('every schema in the document is a valid JSON Schema', () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  expect(() => ajv.addSchema(document, 'api')).not.toThrow();
  const schemas = JSON.stringify(document).match(/"schema":\{/g) ?? [];
  expect(schemas.length).toBeGreaterThan(API_ROUTES.length);
});

test('the path parameters of a route match the placeholders in its path', () => {
  for (const { path, params } of API_ROUTES) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const shape = (params as unknown as { readonly shape?: object } | undefined)?.shape ?? {};
    expect([path, ...Object.keys(shape).toSorted()]).toEqual([path, ...named.toSorted()]);
  }
});

const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true }).addSchema(document, 'document');
const pointerTo = (...parts: string[]): string =>
  parts.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');

test.each(API_ROUTES.map((route) => [`${route.method} ${route.path}`, route] as const))(
  '%s: the example request is valid, and the example answer matches its schema',
  (_name, { method, path, params, query, body, idempotencyKey, example, answers }) => {
    const asked = { query: query === undefined ? undefined : {}, ...example };
    for (const [schema = z.undefined(), value] of [
      [params, asked.params],
      [query, asked.query],
      [body, asked.body],
    ] as const) {
      expect(schema.safeParse(value)).toMatchObject({ success: true });
    }
    expect(example.idempotencyKey === undefined).toBe(idempotencyKey === undefined);
    const successes = Object.entries(answers).filter(([status]) => Number(status) < 400);
    for (const [status, { schema, contentType = 'application/json' }] of successes) {
      expect(example.answer === undefined).toBe(schema === undefined);
      const place = ['paths', path, method.toLowerCase(), 'responses', status, 'content', contentType, 'schema'];
      expect(schema === undefined ? null : faultsOf(pointerTo(...place), example.answer)).toBeNull();
    }
  },
);

function faultsOf(pointer: string, value: unknown): unknown {
  const validate = ajv.compile({ $ref: `document#/${pointer}` });
  validate(value);
  return validate.errors;
}
