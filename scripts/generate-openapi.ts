/**
 * Generates files from the routes of `/v1`: the OpenAPI document and page in the docs, and the types of its clients. A test fails
 * while any is outdated.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { apiDocument } from '../src/entry/api/document.ts';
import { API_ROUTES } from '../src/entry/api/routes.ts';
import { apiReference, type ApiDocument } from './api-reference.ts';
import { typesOf, type OpenApiDocument } from './openapi-types.ts';

const root = join(import.meta.dirname, '..');
const text = JSON.stringify(apiDocument(API_ROUTES), undefined, 2);
const document: unknown = JSON.parse(text);
const files = {
  'docs/openapi.json': `${text}\n`,
  'docs/api-reference.md': apiReference(document as ApiDocument),
  'src/clients/facteur/operations.ts': typesOf(document as OpenApiDocument),
};
for (const [path, content] of Object.entries(files)) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}
