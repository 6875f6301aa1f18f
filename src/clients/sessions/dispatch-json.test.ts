import { expect, test } from 'vitest';
import { decodeDispatch, encodeDispatch } from './dispatch-json.ts';

const GO = '{"Namespace":"argo","WorkflowName":"plan-x","Message":"ok","CorrelationID":"c","TraceID":"t"}';
const DISPATCH = { namespace: 'argo', workflowName: 'plan-x', message: 'ok', correlationId: 'c', traceId: 't' };

test('encodes like the Go service', () => {
  expect(encodeDispatch(DISPATCH)).toBe(GO);
});

test.each<[string, unknown]>([
  [GO, DISPATCH],
  [GO.replace('{', '{"Later":{"a":1},'), DISPATCH],
  [
    '{"Namespace":7,"CorrelationID":"c"}',
    { namespace: '', workflowName: '', message: '', correlationId: 'c', traceId: '' },
  ],
  ['{}', { namespace: '', workflowName: '', message: '', correlationId: '', traceId: '' }],
  [
    JSON.stringify({
      WorkflowName: 'w',
      Message: 'm'.repeat(1001),
      CorrelationID: 'c'.repeat(257),
      TraceID: 't'.repeat(256),
    }),
    { namespace: '', workflowName: 'w', message: '', correlationId: '', traceId: 't'.repeat(256) },
  ],
  ['', undefined],
  ['null', undefined],
  ['[]', undefined],
  ['"text"', undefined],
  ['{"Namespace":', undefined],
])('decodes %s', (json, expected) => {
  expect(decodeDispatch(json)).toEqual(expected);
});
