import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { createLogger, silentLogger } from '../../base/logger.ts';
import { Secret } from '../../base/secret.ts';
import { DISPATCH, sessionsConformance } from '../../../test/support/sessions.ts';
import { openSessions } from './open-sessions.ts';
import type { Sessions } from './sessions.ts';

const CASES = new URL('../../../test/cases/', import.meta.url);
const url = testRedisUrl();
let redis: Redis;

beforeAll(() => {
  redis = new Redis(url);
});

afterAll(() => {
  redis.disconnect();
});

function testRedisUrl(): string {
  const named = process.env['FACTEUR_TEST_REDIS_URL'] ?? '';
  if (named === '') {
    throw new Error('FACTEUR_TEST_REDIS_URL must name a Redis: npm run test:services provides one');
  }
  return named;
}

const open = async (): Promise<Sessions> =>
  openSessions({ url: new Secret(url), clock: systemClock, logger: silentLogger });

/** The URL for a user of Redis with the password `secret`. */
function asUser(user: string): string {
  const address = new URL(url);
  address.username = user;
  address.password = 'secret';
  return address.href;
}

/** Sessions with their log. */
function openLogged(address: string): { sessions: Sessions; lines: string[] } {
  const lines: string[] = [];
  const logger = createLogger('debug', { write: (line) => lines.push(line) });
  return { sessions: openSessions({ url: new Secret(address), clock: systemClock, logger }), lines };
}

sessionsConformance(open);

describe('in Redis', () => {
  test('uses the keys, the JSON and the time to live of the Go service', async () => {
    const sessions = await open();
    await sessions.rememberDispatch('user-9', DISPATCH);
    await sessions.keepToken('interaction-9', new Secret('the token'));
    expect(JSON.parse((await redis.get('facteur:dispatch:user-9')) ?? '')).toEqual({
      Namespace: DISPATCH.namespace,
      WorkflowName: DISPATCH.workflowName,
      Message: DISPATCH.message,
      CorrelationID: DISPATCH.correlationId,
      TraceID: DISPATCH.traceId,
    });
    expect(await redis.get('facteur:interaction:interaction-9')).toBe('the token');
    for (const key of ['facteur:dispatch:user-9', 'facteur:interaction:interaction-9']) {
      const ttl = await redis.ttl(key);
      expect(ttl).toBeGreaterThan(890);
      expect(ttl).toBeLessThanOrEqual(900);
    }
    await sessions.close();
  });

  test('ignores values of others that are too long', async () => {
    const sessions = await open();
    const ids = { CorrelationID: 'c'.repeat(1000), TraceID: 't', WorkflowName: 'w' };
    await redis.set('facteur:dispatch:long-id', JSON.stringify(ids), 'EX', 60);
    await redis.set('facteur:dispatch:huge', JSON.stringify({ ...ids, Message: 'm'.repeat(1e6) }), 'EX', 60);
    await redis.set('facteur:interaction:huge', 'x'.repeat(1e6), 'EX', 60);
    expect(await sessions.lastDispatch('long-id')).toMatchObject({
      correlationId: '',
      traceId: 't',
      workflowName: 'w',
    });
    expect(await sessions.lastDispatch('huge')).toBeUndefined();
    expect(await sessions.tokenOf('huge')).toBeUndefined();
    await sessions.close();
  });

  test('ignores values of another type, without an outage', async () => {
    const { sessions, lines } = openLogged(url);
    await redis.del('facteur:dispatch:typed');
    await redis.lpush('facteur:dispatch:typed', 'x');
    expect(await sessions.lastDispatch('typed')).toBeUndefined();
    expect(sessions.status().ok).toBe(true);
    expect(lines).toEqual([]);
    await sessions.close();
    await redis.del('facteur:dispatch:typed');
  });

  test('one that refuses writes is down until it accepts them, and is reported once', async () => {
    const user = `reader-${randomUUID()}`;
    await redis.call('ACL', 'SETUSER', user, 'on', '>secret', '~*', '+select', '+info', '+getrange');
    const { sessions, lines } = openLogged(asUser(user));
    await redis.set('facteur:interaction:readable', 'token', 'EX', 60);
    for (let round = 0; round < 3; round += 1) {
      await sessions.rememberDispatch('reader', DISPATCH);
      expect((await sessions.tokenOf('readable'))?.reveal()).toBe('token');
      expect(sessions.status().ok).toBe(false);
    }
    expect(lines).toEqual([expect.stringContaining('sessions are unavailable')]);
    await redis.call('ACL', 'SETUSER', user, '+set');
    await sessions.rememberDispatch('reader', DISPATCH);
    expect(sessions.status().ok).toBe(true);
    expect(lines.slice(1)).toEqual([expect.stringContaining('sessions are available again')]);
    await sessions.close();
    await redis.call('ACL', 'DELUSER', user);
  });

  test.each(['set', 'getrange'])('one that permits %s again is up, even if no session is used', async (command) => {
    const user = `limited-${randomUUID()}`;
    await redis.call('ACL', 'SETUSER', user, 'on', '>secret', '~facteur:*', '+@all', `-${command}`);
    let now = Date.now();
    const clock = { now: () => new Date(now) };
    const sessions = openSessions({ url: new Secret(asUser(user)), clock, logger: silentLogger });
    await sessions.rememberDispatch('limited', DISPATCH);
    await sessions.lastDispatch('limited');
    expect(sessions.status().ok).toBe(false);
    await redis.call('ACL', 'SETUSER', user, `+${command}`);
    await vi.waitFor(() => {
      now += 10_000;
      expect(sessions.status().ok).toBe(true);
    });
    await sessions.close();
    await redis.call('ACL', 'DELUSER', user);
  });

  test('a replica reads what another one stores', async () => {
    const [one, other] = [await open(), await open()];
    await one.keepToken('shared', new Secret('token'));
    await one.rememberDispatch('shared', DISPATCH);
    expect((await other.tokenOf('shared'))?.reveal()).toBe('token');
    await other.rememberDispatch('shared', { ...DISPATCH, message: 'later' });
    expect(await one.lastDispatch('shared')).toMatchObject({ message: 'later' });
    await Promise.all([one.close(), other.close()]);
  });

  test('reads values of the Go service, and ignores invalid ones', async () => {
    const sessions = await open();
    await redis.set(
      'facteur:dispatch:go',
      '{"Namespace":"n","WorkflowName":"w","Message":"m","CorrelationID":"c","TraceID":"t","New":1}',
    );
    expect(await sessions.lastDispatch('go')).toMatchObject({ workflowName: 'w', traceId: 't' });
    await redis.set('facteur:dispatch:go', 'nonsense');
    expect(await sessions.lastDispatch('go')).toBeUndefined();
    await sessions.close();
  });

  test('if Redis is wiped while in use, falls back to the writer’s own memory', async () => {
    const sessions = await open();
    await sessions.keepToken('wiped', new Secret('token'));
    await sessions.rememberDispatch('wiped', DISPATCH);
    await redis.del('facteur:interaction:wiped', 'facteur:dispatch:wiped');
    expect((await sessions.tokenOf('wiped'))?.reveal()).toBe('token');
    expect(await sessions.lastDispatch('wiped')).toEqual(DISPATCH);
    await sessions.close();
  });

  test('prefers its own dispatch to an older one in Redis, but not to a later one', async () => {
    const user = `one-${randomUUID()}`;
    await redis.call('ACL', 'SETUSER', user, 'on', '>secret', '~facteur:*', '+@all');
    let now = Date.now();
    const clock = { now: () => new Date(now) };
    const sessions = openSessions({ url: new Secret(asUser(user)), clock, logger: silentLogger });
    const other = await open();
    await other.rememberDispatch('aged', { ...DISPATCH, message: 'before' });
    await redis.expire('facteur:dispatch:aged', 800);
    await redis.call('ACL', 'SETUSER', user, '-set');
    await sessions.rememberDispatch('aged', { ...DISPATCH, message: 'refused' });
    expect(await sessions.lastDispatch('aged')).toMatchObject({ message: 'refused' });
    await redis.call('ACL', 'SETUSER', user, '-pttl');
    expect(await sessions.lastDispatch('aged')).toMatchObject({ message: 'before' });
    await redis.call('ACL', 'SETUSER', user, '+pttl');
    now += 60_000;
    await other.rememberDispatch('aged', { ...DISPATCH, message: 'after' });
    expect(await sessions.lastDispatch('aged')).toMatchObject({ message: 'after' });
    await Promise.all([sessions.close(), other.close()]);
    await redis.call('ACL', 'DELUSER', user);
  });

  test('an unknown database counts as down, and is never replaced by database 0', async () => {
    const databases = Number((await redis.config('GET', 'databases'))[1]);
    const named = (await readFile(new URL('redis-db-out-of-range.redis.txt', CASES), 'utf8')).trim();
    const elsewhere = new URL(url);
    elsewhere.pathname = named.slice(named.lastIndexOf('/')).replace('16', `${databases}`);
    const sessions = openSessions({ url: new Secret(elsewhere.href), clock: systemClock, logger: silentLogger });
    await sessions.keepToken('out-of-range', new Secret('token'));
    await sessions.rememberDispatch('out-of-range', DISPATCH);
    expect(sessions.status()).toEqual({ store: 'redis', ok: false });
    expect(await redis.exists('facteur:interaction:out-of-range', 'facteur:dispatch:out-of-range')).toBe(0);
    expect((await sessions.tokenOf('out-of-range'))?.reveal()).toBe('token');
    await sessions.close();
  });

  test('uses the configured database, and no other', async () => {
    const elsewhere = new URL(url);
    elsewhere.pathname = '/7';
    const sessions = openSessions({ url: new Secret(elsewhere.href), clock: systemClock, logger: silentLogger });
    await sessions.keepToken('seven', new Secret('token'));
    const seven = new Redis(elsewhere.href);
    expect(await seven.get('facteur:interaction:seven')).toBe('token');
    expect(await redis.exists('facteur:interaction:seven')).toBe(0);
    seven.disconnect();
    await sessions.close();
  });
});
