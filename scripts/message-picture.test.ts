import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { drawMessage, PICTURE } from './message-picture.ts';

const root = join(import.meta.dirname, '..');

test('the picture of a message is current: run "npm run picture" when this fails', () => {
  expect(readFileSync(join(root, PICTURE), 'utf8')).toBe(drawMessage());
});

test('README.md shows it', () => {
  expect(readFileSync(join(root, 'README.md'), 'utf8')).toContain(`](${PICTURE})`);
});
