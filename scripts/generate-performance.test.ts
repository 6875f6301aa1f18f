import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { renderOrigin, renderTable, spreadOf } from '../bench/results.ts';
import { fillPage, PAGE } from './generate-performance.ts';

const root = join(import.meta.dirname, '..');
const page = readFileSync(join(root, PAGE), 'utf8');

test('docs/performance.md is up to date: run "npm run performance" if this fails', () => {
  expect(page).toBe(fillPage(page));
});

test('finds a manually changed number', () => {
  const changed = page.replace(/\d{3}(?= \|)/, '42');
  expect(changed).not.toBe(page);
  expect(fillPage(changed)).toBe(page);
});

test('the page shows every result', () => {
  const results = readdirSync(join(root, 'bench', 'results')).map((name) => name.replace('.json', ''));
  expect(results.filter((name) => !page.includes(`<!-- bench ${name} `))).toEqual([]);
});

test('a table shows medians with minimum and maximum, and three significant digits', () => {
  const rows = [
    ['of three', 16, spreadOf([9.25, 1200.4, 11.11])],
    ['of two, and the same', 128, spreadOf([4, 4])],
    ['not measured', 1, spreadOf([])],
  ];
  expect(renderTable({ columns: ['what', 'n', 'ms'], rows })).toBe(
    [
      '| what                 | n   | ms                |',
      '| -------------------- | --- | ----------------- |',
      '| of three             | 16  | 11.1 (9.25–1,200) |',
      '| of two, and the same | 128 | 4.00              |',
      '| not measured         | 1   |                   |',
    ].join('\n'),
  );
  expect(spreadOf([1, 2, 3, 10])).toEqual({ median: 2.5, low: 1, high: 10 });
});

test('the origin names other busy processes, and uncommitted changes', () => {
  const before = { loadAverage: 7.5, processes: ['node (0.90 cores)', 'java (0.10 cores)'] };
  expect(
    renderOrigin({
      date: '2026-11-29',
      commit: 'abc1234',
      dirty: true,
      build: 'sources',
      method: '3 rounds',
      before,
      tables: {},
    }),
  ).toBe(
    'Measured on 2026-11-29 at `abc1234` with changes, from the sources; 3 rounds; load average before 7.5, beside it ran node (0.90 cores), java (0.10 cores).',
  );
});
