import { expect, test } from 'vitest';
import { nearest } from './nearest.ts';

const KEYS = ['listen_address', 'intake_tokens', 'api_tokens', 'url', 'enabled'];

test.each([
  ['listen_adress', 'listen_address'],
  ['listenAddress', 'listen_address'],
  ['listen-address', 'listen_address'],
  ['intake_token', 'intake_tokens'],
  ['enable', 'enabled'],
  ['ulr', 'url'],
  ['enabeld', 'enabled'],
  ['lru', undefined],
  ['uri', 'url'],
  ['something', undefined],
  ['', undefined],
])('the nearest key to %j is %j', (word, meant) => {
  expect(nearest(word, KEYS)).toBe(meant);
});
