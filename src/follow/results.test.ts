import { expect, test } from 'vitest';
import { resultsOf } from './results.ts';

const outputs = (...parameters: unknown[]) => ({ outputs: { parameters } });
const NAMED = { annotations: { 'facteur.proompteng.ai/result': 'version, image' } };

test.each<[string, Parameters<typeof resultsOf>, unknown]>([
  [
    'the usual names',
    [{}, outputs({ name: 'summary', value: 'ok' }, { name: 'other', value: 'x' })],
    [['summary', 'ok']],
  ],
  [
    'those named by the template',
    [NAMED, outputs({ name: 'summary', value: 'ok' }, { name: 'image', value: 'v1' })],
    [['image', 'v1']],
  ],
  ['none without outputs', [{}, {}], []],
  [
    'not of an invalid shape',
    [{}, { outputs: { parameters: ['x', null, { name: 'url', value: 7 }, { value: 'x' }] } }],
    [],
  ],
  [
    'without credentials in URLs',
    [{}, outputs({ name: 'url', value: 'https://a:secret@b.c/' })],
    [['url', 'https://***@b.c/']],
  ],
  [
    'without anything that looks like a credential',
    [{}, outputs({ name: 'result', value: `use ghp_${'a'.repeat(36)} and AKIA${'B'.repeat(16)}` })],
    [['result', 'use *** and ***']],
  ],
  ['truncated', [{}, outputs({ name: 'result', value: 'x'.repeat(5000) })], [['result', 'x'.repeat(600)]]],
  [
    'limited to what Postgres can store',
    [{}, outputs({ name: 'result', value: 'a\u0000\ud800b' })],
    [['result', 'ab']],
  ],
  [
    'named as Postgres can store it',
    [
      { annotations: { 'facteur.proompteng.ai/result': `a\0b, ${'x'.repeat(62)}🚀` } },
      outputs({ name: 'a\0b', value: '1' }, { name: `${'x'.repeat(62)}🚀`, value: '2' }),
    ],
    [
      ['ab', '1'],
      ['x'.repeat(62), '2'],
    ],
  ],
])('results are %s', (_what, [metadata, status], expected) => {
  expect(resultsOf(metadata, status).map(({ name, value }) => [name, value])).toEqual(expected);
});
