import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { drawMessage, PICTURE } from './message-picture.ts';

const root = join(import.meta.dirname, '..');

test('the picture of a message is up to date: run "npm run picture" if this fails', () => {
  expect(readFileSync(join(root, PICTURE), 'utf8')).toBe(drawMessage());
});

test('README.md shows it', () => {
  expect(readFileSync(join(root, 'README.md'), 'utf8')).toContain(`](${PICTURE})`);
});
