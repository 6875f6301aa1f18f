import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { Secret } from '../base/secret.ts';
import { parseRedisUrl, type RedisAddress } from './redis-url.ts';

test.each<[string, RedisAddress | undefined]>([
  ['redis://h', { host: 'h', port: 6379, tls: false, database: 0 }],
  ['redis://h:1/', { host: 'h', port: 1, tls: false, database: 0 }],
  ['rediss://h/15', { host: 'h', port: 6379, tls: true, database: 15 }],
  ['redis://h?db=3', { host: 'h', port: 6379, tls: false, database: 3 }],
  ['redis://h/2?db=3&pool_size=4', { host: 'h', port: 6379, tls: false, database: 3 }],
  ['redis://h/2?db=1&db=4', { host: 'h', port: 6379, tls: false, database: 4 }],
  ['redis://h/2?db=', { host: 'h', port: 6379, tls: false, database: 2 }],
  ['Redis://h', { host: 'h', port: 6379, tls: false, database: 0 }],
  ['REDISS://h', { host: 'h', port: 6379, tls: true, database: 0 }],
  ['redis://', { host: 'localhost', port: 6379, tls: false, database: 0 }],
  ['redis://:1/2', { host: 'localhost', port: 1, tls: false, database: 2 }],
  ['unix:///run/redis/redis.sock', { host: '/run/redis/redis.sock', port: 6379, tls: false, database: 0 }],
  [
    'unix://kim:pw@/run/redis.sock?db=3',
    {
      host: '/run/redis.sock',
      port: 6379,
      tls: false,
      database: 3,
      login: { user: 'kim', password: new Secret('pw') },
    },
  ],
  ['redis://[::1]:7/0', { host: '::1', port: 7, tls: false, database: 0 }],
  ['redis://kim@h', { host: 'h', port: 6379, tls: false, database: 0 }],
  [
    'redis://:p%40ss@h/0',
    { host: 'h', port: 6379, tls: false, database: 0, login: { user: '', password: new Secret('p@ss') } },
  ],
  [
    'redis://kim:pw@h/0',
    { host: 'h', port: 6379, tls: false, database: 0, login: { user: 'kim', password: new Secret('pw') } },
  ],
  ['memory://', undefined],
])('%s', (url, expected) => {
  const address = parseRedisUrl(url);
  expect(address).toEqual(expected);
  expect(address?.login?.password.reveal()).toBe(expected?.login?.password.reveal());
});

test.each([
  ['http://h', 'must be a redis://'],
  ['unix://', 'must be a redis://'],
  ['unix:///', 'must be a redis://'],
  ['redis://h:port', 'must be a redis://'],
  ['redis://:hunter2@h/-1', 'a number as its database'],
  ['redis://:hunter2@h/1.5', 'a number as its database'],
  ['redis://:hunter2@h/0x1', 'a number as its database'],
  ['redis://:hunter2@h/0/1', 'a number as its database'],
  ['redis://:hunter2@h?db=sessions', 'a number as its database'],
  ['redis://:hunter2%@h/0', 'an unescaped %'],
])('rejects %s without quoting it', (url, why) => {
  const attempt = (): unknown => parseRedisUrl(url);
  expect(attempt).toThrow(why);
  expect(attempt).not.toThrow('hunter2');
});

test('rejects a name in place of the number', async () => {
  const url = await readFile(new URL('../../test/cases/redis-db-name.redis.txt', import.meta.url), 'utf8');
  expect(() => parseRedisUrl(url.trim().replace('REDISPORT', '6379'))).toThrow('a number as its database');
});
