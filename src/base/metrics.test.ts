import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { sourcePaths } from '../../scripts/source-tree.ts';
import { METRICS, unitOf, type MetricName } from './metrics.ts';
import { SPANS } from './spans.ts';

const ROOT = new URL('../../', import.meta.url);
const DOCS = readFileSync(new URL('docs/metrics.md', ROOT), 'utf8');

/** The name of a metric in Prometheus. */
const scraped = (name: string): string =>
  name.includes('.') ? `${name.replaceAll('.', '_')}${unitOf(name as MetricName) === 's' ? '_seconds' : ''}` : name;

test('the documentation lists every metric, and no unknown one', () => {
  const documented = [...DOCS.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name).filter((name) => name?.includes('_'));
  expect(documented.toSorted()).toEqual(Object.keys(METRICS).map(scraped).toSorted());
});

test('the documentation names every span', () => {
  const names = Object.values(SPANS).filter((name) => typeof name === 'string');
  expect(names.filter((name) => !DOCS.includes(`\`${name}\``))).toEqual([]);
});

test('the names of metrics and spans are defined in one file each', () => {
  const elsewhere = sourcePaths(ROOT.pathname)
    .filter((path) => path.startsWith('src/') && !path.endsWith('.test.ts') && path !== 'src/base/metrics.ts')
    .filter((path) =>
      /\.create(?:Observable)?(?:Counter|Histogram|Gauge|UpDownCounter)\(|(?:inSpan|startSpan)\(\s*['"`]/.test(
        readFileSync(new URL(path, ROOT), 'utf8'),
      ),
    );
  expect(elsewhere).toEqual([]);
});
