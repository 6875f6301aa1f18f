import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { typesOf, type OpenApiDocument } from './openapi-types.ts';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

test('src/clients/facteur/operations.ts is up to date: run "npm run openapi" if this fails', () => {
  const document = JSON.parse(read('docs/openapi.json')) as OpenApiDocument;
  expect(read('src/clients/facteur/operations.ts')).toBe(typesOf(document));
});

test('generates types of schemas, requests and answers', () => {
  const page = {
    type: 'object',
    properties: {
      things: { type: 'array', items: { $ref: '#/components/schemas/Thing' } },
      next: { type: ['string', 'null'] },
      more: { type: 'object', additionalProperties: {} },
    },
    required: ['things', 'next'],
  };
  const text = typesOf({
    components: { schemas: { Thing: { anyOf: [{ const: 1 }, { enum: ['a', 'b'] }, { type: 'integer' }] } } },
    paths: {
      '/v1/things/{id}': {
        post: {
          operationId: 'makeThing',
          parameters: [
            { in: 'path', name: 'id', required: true, schema: { type: 'string' } },
            { in: 'query', name: 'limit', schema: { type: 'string' } },
            { in: 'header', name: 'Idempotency-Key', schema: { type: 'string' } },
          ],
          requestBody: { content: { 'application/json': { schema: { type: 'boolean' } } } },
          responses: { 200: { content: { 'application/json': { schema: page } } }, 204: {}, 404: {} },
        },
      },
    },
  });
  expect(text).toContain('export type Thing = 1 | "a" | "b" | number;');
  expect(text).toContain(
    'readonly request: { readonly path: { readonly id: string }; readonly query?: { readonly limit?: string | undefined }; readonly body: boolean }',
  );
  expect(text).toContain(
    'readonly answer: { readonly things: readonly (Thing)[]; readonly next: string | null; readonly more?: { readonly [name: string]: unknown } | undefined } | undefined',
  );
  expect(text).toContain(`makeThing: { method: 'POST', path: '/v1/things/{id}', answers: 'things' }`);
});
