import { expect, test } from 'vitest';
import { runPages } from './run-pages.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SAMPLED = `00-${TRACE}-00f067aa0ba902b7-01`;

const page = (url: string | undefined, traceparent = SAMPLED): string | undefined =>
  runPages({ ui: undefined, trace: url }).trace(traceparent);

test.each([
  ['Jaeger', 'https://jaeger.example.org/trace/{trace_id}', `https://jaeger.example.org/trace/${TRACE}`],
  ['Zipkin', 'http://zipkin:9411/zipkin/traces/{trace_id}', `http://zipkin:9411/zipkin/traces/${TRACE}`],
  [
    'Honeycomb',
    'https://ui.honeycomb.io/acme/environments/prod/trace?trace_id={trace_id}',
    `https://ui.honeycomb.io/acme/environments/prod/trace?trace_id=${TRACE}`,
  ],
  [
    'Grafana Explore, as its address bar shows it',
    'https://grafana.example.org/explore?schemaVersion=1&panes=%7B%22t%22:%7B%22datasource%22:%22tempo%22,%22queries%22:%5B%7B%22refId%22:%22A%22,%22queryType%22:%22traceql%22,%22query%22:%22{trace_id}%22%7D%5D%7D%7D',
    `https://grafana.example.org/explore?schemaVersion=1&panes=%7B%22t%22:%7B%22datasource%22:%22tempo%22,%22queries%22:%5B%7B%22refId%22:%22A%22,%22queryType%22:%22traceql%22,%22query%22:%22${TRACE}%22%7D%5D%7D%7D`,
  ],
  ['a URL with the id twice', 'https://t.example/{trace_id}#{trace_id}', `https://t.example/${TRACE}#${TRACE}`],
])('the page of a trace in %s', (_tool, url, expected) => {
  expect(page(url)).toBe(expected);
});

test.each([
  ['no tracing UI', undefined, SAMPLED],
  ['no trace', 'https://t.example/{trace_id}', ''],
  ['an unsampled trace', 'https://t.example/{trace_id}', SAMPLED.replace(/1$/, '0')],
  ['an invalid traceparent', 'https://t.example/{trace_id}', '00-x-y-01'],
])('no page with %s', (_what, url, traceparent) => {
  expect(page(url, traceparent)).toBeUndefined();
});
