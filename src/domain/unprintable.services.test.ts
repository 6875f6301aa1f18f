import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { UNPRINTABLE } from './unprintable.ts';

// Argo is written in Go, so Go itself decides how a character is handled.

const ROOT = join(import.meta.dirname, '../..');

function runGo(program: string): string {
  const options = { cwd: ROOT, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 } as const;
  return execFileSync('go', ['run', `scripts/go/${program}`], options);
}

test('lists the characters that do not survive quoting by Go and parsing as JSON', () => {
  const [version, ...lines] = runGo('quoted.go').trimEnd().split('\n');
  // Another version of Go has other tables, and Argo is built with one that has these.
  expect(version).toBe('15.0.0');
  const broken = new Set(lines.map((line) => Number.parseInt(line, 16)));
  const wrong: string[] = [];
  for (let point = 0; point <= 0x10ffff; point += 1) {
    const isSurrogate = point >= 0xd800 && point <= 0xdfff;
    const isListed = String.fromCodePoint(point).search(UNPRINTABLE) !== -1;
    if (!isSurrogate && isListed !== broken.has(point)) {
      wrong.push(point.toString(16));
    }
  }
  expect(wrong).toEqual([]);
});

test('the table is the output of its script', () => {
  const table = readFileSync(join(ROOT, 'src/domain/unprintable.ts'), 'utf8');
  expect(runGo('unprintable.go')).toBe(table);
});
