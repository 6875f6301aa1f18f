import { expect, test } from 'vitest';
import { traceIdOf, validTraceparent } from './traceparent.ts';

const GOOD = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

test.each([
  [GOOD, GOOD],
  [` ${GOOD} `, GOOD],
  ['cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', GOOD],
  ['cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-{{later}}\0\n', GOOD],
  ['cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01later', ''],
  [`${GOOD}-more`, ''],
  [`${GOOD}, ${GOOD}`, ''],
  ['ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', ''],
  ['00-00000000000000000000000000000000-00f067aa0ba902b7-01', ''],
  ['00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01', ''],
  ['00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01', ''],
  ['', ''],
  [undefined, ''],
])('%s', (header, expected) => {
  expect(validTraceparent(header)).toBe(expected);
});

test('extracts the trace id for log lines', () => {
  expect(traceIdOf(GOOD)).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
  expect(traceIdOf('')).toBe('');
});
