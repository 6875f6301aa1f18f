import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/logger.ts';
import { Secret } from '../../base/secret.ts';
import { DISPATCH, sessionsConformance } from '../../../test/support/sessions.ts';
import { openSessions } from './open-sessions.ts';
import type { Sessions } from './sessions.ts';

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

sessionsConformance(open);

describe('in Redis', () => {
  test('keys, JSON and time to live are the Go service’s', async () => {
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

  test('what one replica keeps another one reads', async () => {
    const [one, other] = [await open(), await open()];
    await one.keepToken('shared', new Secret('token'));
    await one.rememberDispatch('shared', DISPATCH);
    expect((await other.tokenOf('shared'))?.reveal()).toBe('token');
    await other.rememberDispatch('shared', { ...DISPATCH, message: 'later' });
    expect(await one.lastDispatch('shared')).toMatchObject({ message: 'later' });
    await Promise.all([one.close(), other.close()]);
  });

  test('what the Go service wrote is read, and so is nonsense: as nothing', async () => {
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

  test('wiped while in use, the writer’s own memory serves', async () => {
    const sessions = await open();
    await sessions.keepToken('wiped', new Secret('token'));
    await sessions.rememberDispatch('wiped', DISPATCH);
    await redis.del('facteur:interaction:wiped', 'facteur:dispatch:wiped');
    expect((await sessions.tokenOf('wiped'))?.reveal()).toBe('token');
    expect(await sessions.lastDispatch('wiped')).toEqual(DISPATCH);
    await sessions.close();
  });
});
