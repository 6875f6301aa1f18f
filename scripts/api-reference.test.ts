import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { apiDocument } from '../src/entry/api/document.ts';
import { API_ROUTES } from '../src/entry/api/routes.ts';
import { apiReference, type ApiDocument } from './api-reference.ts';

/** The text without what the formatter changes: it aligns tables and breaks lists. */
const words = (text: string): string => text.replaceAll(/\s+|-{3,}/g, '');

test('docs/api-reference.md is up to date: run "npm run openapi" if this fails', () => {
  const page = readFileSync(new URL('../docs/api-reference.md', import.meta.url), 'utf8');
  const document: ApiDocument = JSON.parse(JSON.stringify(apiDocument(API_ROUTES)));
  expect(words(page)).toBe(words(apiReference(document)));
});
