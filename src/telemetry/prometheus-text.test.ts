import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import type { Meter } from '@opentelemetry/api';
import { expect, test } from 'vitest';
import { ScrapeReader } from './prometheus-text.ts';

/** The lines of a scrape after these measurements, without comments. */
async function scrape(measure: (meter: Meter) => void, resource = {}): Promise<string[]> {
  return (await scrapeText(measure, resource)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

async function scrapeText(measure: (meter: Meter) => void, resource = {}): Promise<string> {
  const reader = new ScrapeReader();
  const provider = new MeterProvider({ resource: resourceFromAttributes(resource), readers: [reader] });
  measure(provider.getMeter('test'));
  return reader.text();
}

test('prints a counter, a gauge and a histogram', async () => {
  const text = await scrapeText((meter) => {
    meter.createCounter('a_runs_total', { description: 'Runs\nof "a" \\ b.' }).add(2, { command: 'plan' });
    meter.createGauge('a.depth').record(3.5);
    meter
      .createHistogram('a_wait_seconds', { unit: 's', advice: { explicitBucketBoundaries: [0.1, 1] } })
      .record(0.5, { door: 'http' });
  });
  expect(text).toBe(`# HELP target_info Description of the measured process
# TYPE target_info gauge
target_info 1
# HELP a_runs_total Runs\\nof "a" \\\\ b.
# TYPE a_runs_total counter
a_runs_total{command="plan"} 2
# HELP a_depth${' '}
# TYPE a_depth gauge
a_depth 3.5
# HELP a_wait_seconds${' '}
# TYPE a_wait_seconds histogram
a_wait_seconds_bucket{door="http",le="0.1"} 0
a_wait_seconds_bucket{door="http",le="1"} 1
a_wait_seconds_bucket{door="http",le="+Inf"} 1
a_wait_seconds_sum{door="http"} 0.5
a_wait_seconds_count{door="http"} 1
`);
});

test.each([
  ['facteur_command_events_processed_total', '', 'facteur_command_events_processed_total'],
  ['facteur.runs', '{run}', 'facteur_runs_total'],
  ['http.bytes', 'By', 'http_bytes_total'],
  ['a-wait', 's', 'a_wait_seconds_total'],
  ['a_wait_seconds_total', 's', 'a_wait_seconds_total'],
  ['a.share', '1', 'a_share_total'],
])('a counter %s with unit %j is %s', async (name, unit, wanted) => {
  expect(await scrape((meter) => meter.createCounter(name, { unit }).add(1))).toContain(`${wanted} 1`);
});

test.each([
  ['a.share', '1', 'a_share_ratio'],
  ['heap', 'By', 'heap_bytes'],
  ['odd/name', 'x', 'odd_name'],
])('a gauge %s with unit %j is %s', async (name, unit, wanted) => {
  expect(await scrape((meter) => meter.createGauge(name, { unit }).record(1))).toContain(`${wanted} 1`);
});

test('the histogram of the contract keeps its name', async () => {
  const lines = await scrape((meter) =>
    meter.createHistogram('facteur_command_events_duration_ms', { unit: 'ms' }).record(42),
  );
  expect(lines).toContain('facteur_command_events_duration_ms_count 1');
});

test('escapes labels, and merges duplicates', async () => {
  const lines = await scrape(
    (meter) => meter.createGauge('a').record(1, { 'b.c': 'say "hi"\\\n', b_c: 'later', n: 3 }),
    {
      'service.name': 'facteur',
      service_name: 'other',
    },
  );
  expect(lines).toEqual(['target_info{service_name="other"} 1', 'a{b_c="later",n="3"} 1']);
  const [, escaped] = await scrape((meter) => meter.createGauge('a').record(1, { b: 'say "hi"\\\n' }));
  expect(escaped).toBe(String.raw`a{b="say \"hi\"\\\n"} 1`);
});

test('prints an up-down counter as a gauge, and infinity and NaN', async () => {
  const text = await scrapeText((meter) => {
    meter.createUpDownCounter('held').add(-1);
    meter.createObservableGauge('limit').addCallback((result) => {
      result.observe(Number.POSITIVE_INFINITY, { of: 'a' });
      result.observe(Number.NaN, { of: 'b' });
    });
  });
  expect(text).toContain('# TYPE held gauge\nheld -1');
  expect(text).toContain('limit{of="a"} +Inf');
  expect(text).toContain('limit{of="b"} NaN');
});

test('of two instruments with the same name and different types, prints the first', async () => {
  const lines = await scrape((meter) => {
    meter.createGauge('a.b').record(1);
    meter.createHistogram('a_b').record(2);
  });
  expect(lines.filter((line) => line.startsWith('a_b'))).toEqual(['a_b 1']);
});
