import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { chartReadme } from './generate-chart.ts';

const DEPLOY = join(import.meta.dirname, '../deploy');
const read = (path: string): string => readFileSync(join(DEPLOY, path), 'utf8');
/** The text without the columns that the formatter aligns. */
const bare = (text: string): string => text.replaceAll(/ {2,}/g, ' ').replaceAll(/-{3,}/g, '---');

test('the README of the chart is up to date: run "npm run chart:generate" if this fails', () => {
  expect(bare(read('chart/README.md'))).toBe(bare(chartReadme()));
});

test.each(['dispatch.yaml', 'service-account.yaml'])('the chart has %s of the component', (name) => {
  expect(read(`chart/files/${name}`)).toBe(read(`components/workflows/${name}`));
});
