import { expect, test } from 'vitest';
import { parseListenAddress } from './listen-address.ts';

test.each([
  [':8080', { host: '', port: 8080 }],
  ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
  ['localhost:0', { host: 'localhost', port: 0 }],
  ['[::]:8080', { host: '::', port: 8080 }],
  ['[fe80::1%eth0]:80', { host: 'fe80::1%eth0', port: 80 }],
  [':65535', { host: '', port: 65_535 }],
])('%s is a listen address', (text, address) => {
  expect(parseListenAddress(text)).toEqual(address);
});

test.each(['8080', '', ':', ':http', ':65536', '::1:8080', '[::]', 'http://h:80', 'a b:80', 'host:-1'])(
  '%j is not a listen address',
  (text) => {
    expect(parseListenAddress(text)).toBeUndefined();
  },
);
