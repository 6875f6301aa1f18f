import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { openDoor, type OpenDoor, RECEIPT } from '../../../test/support/http-door.ts';
import { FacteurError } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import { Refusal } from '../../domain/refusal.ts';
import { CommandEventSchema } from '../../proto/proompteng/facteur/v1/contract_pb.ts';
import type { HttpDeps } from './deps.ts';

const doors: OpenDoor[] = [];
afterEach(async () => {
  await Promise.all(doors.splice(0).map((door) => door.close()));
});

async function open(overrides: Partial<HttpDeps> = {}): Promise<OpenDoor> {
  const door = await openDoor(overrides);
  doors.push(door);
  return door;
}

const EVENT = { 'ce-id': 'partition:0/offset:7', 'ce-source': '/kafka/topic', 'ce-type': 'x' };
const JSON_TYPE = { 'content-type': 'application/json' };
const TASK = '{"stage":2,"deliveryId":"d-1"}';

async function send(
  door: OpenDoor,
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = JSON_TYPE,
): Promise<Response> {
  return fetch(door.url + path, { method: 'POST', headers, body });
}

describe('bearer tokens', () => {
  const tokens = { intakeTokens: [new Secret('first-token'), new Secret('zweites-tökén')] };

  test.each([
    [202, 'Bearer first-token'],
    [202, 'bearer first-token'],
    [401, undefined],
    [401, ''],
    [401, 'Bearer'],
    [401, 'Bearer '],
    [401, 'Bearer wrong'],
    [401, 'Bearer first-token x'],
    [401, 'Bearer first-toke'],
    [401, 'Basic first-token'],
    [401, 'first-token'],
  ])('%i for %j on both routes', async (status, authorization) => {
    const door = await open(tokens);
    const headers = authorization === undefined ? JSON_TYPE : { ...JSON_TYPE, authorization };
    for (const [path, body] of [
      ['/events', '{"command":"plan"}'],
      ['/codex/tasks', TASK],
    ] as const) {
      const response = await send(door, path, body, headers);
      expect(response.status).toBe(status);
      expect(response.headers.get('www-authenticate')).toBe(status === 401 ? 'Bearer realm="facteur"' : null);
      const answer = (await response.json()) as { error?: string };
      expect(answer.error).toBe(status === 401 ? 'unauthorized' : undefined);
    }
  });

  test('are checked before the body', async () => {
    const door = await open(tokens);
    const bad = { 'content-type': 'text/plain', 'content-encoding': 'gzip' };
    expect((await send(door, '/events', 'x'.repeat(100_000), bad)).status).toBe(401);
    expect((await send(door, '/events', '', bad)).status).toBe(401);
  });

  test('a request without one writes no dead letter', async () => {
    const door = await open(tokens);
    await send(door, '/events', '{', { ...JSON_TYPE, ...EVENT });
    expect(door.letters).toEqual([]);
  });

  test('are not required on the probes', async () => {
    const door = await open(tokens);
    expect((await fetch(`${door.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${door.url}/readyz`)).status).toBe(200);
    expect((await fetch(door.url)).status).toBe(200);
  });
});

describe('a CloudEvent that is refused permanently becomes a dead letter', () => {
  test.each([
    ['/events', 400, 'empty payload', ''],
    ['/events', 400, 'invalid payload: invalid JSON', '{'],
    ['/events', 400, 'missing command', '{}'],
    ['/codex/tasks', 400, 'unsupported codex stage', '{"deliveryId":"d"}'],
  ])('%s %i %s', async (path, status, reason, body) => {
    const door = await open();
    const response = await send(door, path, body, { ...JSON_TYPE, ...EVENT, authorization: 'Bearer x', cookie: 'a=b' });
    expect(response.status).toBe(status);
    expect(door.letters).toEqual([
      {
        door: 'http',
        deliveryId: '/kafka/topic|partition:0/offset:7',
        reason,
        headers: { ...JSON_TYPE, ...EVENT, ':path': path },
        body: Buffer.from(body),
      },
    ]);
  });

  test('with the delivery id of its payload', async () => {
    const door = await open();
    door.dispatch.answer = () => Promise.reject(new Refusal('forbidden', 'none of your roles may run this command'));
    const response = await send(door, '/events', '{"command":"plan","interactionId":"i-1"}', {
      ...JSON_TYPE,
      ...EVENT,
    });
    expect(response.status).toBe(403);
    expect(door.letters).toMatchObject([
      { deliveryId: 'i-1', reason: 'forbidden: none of your roles may run this command' },
    ]);
  });

  test('without its interaction token', async () => {
    const door = await open();
    door.dispatch.answer = () => Promise.reject(new Refusal('forbidden'));
    const event = create(CommandEventSchema, { command: 'plan', token: 'hunter2', options: { a: 'b' } });
    await send(door, '/events', Buffer.from(toBinary(CommandEventSchema, event)), EVENT);
    const kept = fromBinary(CommandEventSchema, door.letters[0]?.body ?? Buffer.alloc(0));
    expect(kept).toMatchObject({ command: 'plan', token: '', options: { a: 'b' } });
  });

  test('in structured mode too', async () => {
    const door = await open();
    const event = JSON.stringify({ specversion: '1.0', id: '1', source: '/s', type: 'x', data: { command: '' } });
    await send(door, '/events', event, { 'content-type': 'application/cloudevents+json' });
    expect(door.letters).toMatchObject([{ reason: 'missing command' }]);
  });

  test('if the cluster refuses it', async () => {
    const door = await open();
    door.dispatch.answer = async () => ({ ...RECEIPT, state: 'refused', reason: 'no such template' });
    const response = await send(door, '/codex/tasks', TASK, { ...JSON_TYPE, ...EVENT });
    expect(response.status).toBe(422);
    expect(door.letters).toMatchObject([{ deliveryId: 'd-1', reason: 'workflow refused: no such template' }]);
  });

  test.each(['text/plain', 'nonsense', 'application/json; charset=latin1', '/', ';'])(
    'if its type is unsupported (%s), with its bytes',
    async (type) => {
      const door = await open();
      expect((await send(door, '/events', 'hello', { ...EVENT, 'content-type': type })).status).toBe(415);
      expect(door.letters).toMatchObject([
        { reason: expect.stringMatching(/^unsupported media type: /), body: Buffer.from('hello') },
      ]);
    },
  );

  test.each<[string, () => NonNullable<RequestInit['body']>]>([
    ['with content-length', () => 'x'.repeat(70_000)],
    ['in chunks', () => new Blob(['x'.repeat(60_000), 'x'.repeat(10_000)]).stream()],
  ])('if it is too large (%s), truncated, with a note', async (_how, body) => {
    const door = await open();
    const init = { method: 'POST', headers: { ...EVENT, ...JSON_TYPE }, body: body(), duplex: 'half' as const };
    expect((await fetch(`${door.url}/events`, init)).status).toBe(413);
    expect(door.letters).toEqual([
      {
        door: 'http',
        deliveryId: '/kafka/topic|partition:0/offset:7',
        reason: 'payload too large: the limit is 65536 bytes; only the first 65536 bytes were kept',
        headers: { ...JSON_TYPE, ...EVENT, ':path': '/events', ':cut': '65536' },
        body: Buffer.from('x'.repeat(65_536)),
      },
    ]);
  });

  test('if it is too large and of an unsupported type, truncated', async () => {
    const door = await open();
    const headers = { ...EVENT, 'content-type': 'nonsense' };
    expect((await send(door, '/events', 'x'.repeat(70_000), headers)).status).toBe(415);
    expect(door.letters.map(({ reason, body }) => [reason.split(':')[0], body.length])).toEqual([
      ['unsupported media type', 65_536],
    ]);
  });

  test('but not if its sender is unauthorized: the log has the source and the id of the event', async () => {
    const door = await open({ intakeTokens: [new Secret('right')] });
    const headers = { ...JSON_TYPE, ...EVENT, authorization: 'Bearer wrong' };
    expect((await send(door, '/events', '{"command":"plan"}', headers)).status).toBe(401);
    expect(door.letters).toEqual([]);
    expect(door.log.map((line) => JSON.parse(line) as object)).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        message: 'a CloudEvent was rejected; its sender may not send it again',
        eventSource: '/kafka/topic',
        eventId: 'partition:0/offset:7',
      }),
    );
  });

  test('or, if the ledger is down, its sender gets 503', async () => {
    const down = new FacteurError('postgres.unavailable', 'down', { retryable: true });
    const door = await open({ park: () => Promise.reject(down) });
    for (const body of ['{', 'x'.repeat(70_000)]) {
      const response = await send(door, '/events', body, { ...JSON_TYPE, ...EVENT });
      expect(response.status).toBe(503);
      expect(response.headers.get('retry-after')).not.toBeNull();
    }
  });

  test('or, if storing it fails for another reason, its sender gets 500', async () => {
    const door = await open({ park: () => Promise.reject(new Error('boom')) });
    const response = await send(door, '/events', '{', { ...JSON_TYPE, ...EVENT });
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({ error: 'dispatch failed' });
  });
});

describe('a refused delivery is not parked', () => {
  test('if it is not a CloudEvent', async () => {
    const door = await open();
    expect((await send(door, '/events', '{')).status).toBe(400);
    expect((await send(door, '/events', 'x'.repeat(70_000))).status).toBe(413);
    expect(door.letters).toEqual([]);
  });

  test('if its sender will send it again', async () => {
    const door = await open({ codexEnabled: false });
    door.dispatch.answer = () => Promise.reject(new FacteurError('postgres.unavailable', 'down', { retryable: true }));
    expect((await send(door, '/events', '{"command":"plan"}', { ...JSON_TYPE, ...EVENT })).status).toBe(503);
    expect((await send(door, '/codex/tasks', TASK, { ...JSON_TYPE, ...EVENT })).status).toBe(503);
    door.dispatch.answer = () => Promise.reject(new Error('boom'));
    expect((await send(door, '/events', '{"command":"plan"}', { ...JSON_TYPE, ...EVENT })).status).toBe(500);
    expect(door.letters).toEqual([]);
  });
});

describe('the log', () => {
  test('has the route, the status and the reason, and no input', async () => {
    const door = await open({ intakeTokens: [new Secret('hunter2')] });
    const headers = { ...JSON_TYPE, authorization: 'Bearer hunter2' };
    await send(
      door,
      '/events?secret=hunter2',
      '{"command":"hunter2","token":"hunter2","options":{"a":"hunter2"}}',
      headers,
    );
    await send(door, '/events?secret=hunter2', '{"command":"a","version":"hunter2"}', headers);
    await send(door, '/nowhere/hunter2', '{"hunter2', headers);
    const log = door.log.join('');
    expect(log).not.toContain('hunter2');
    const lines = door.log.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: 'debug',
        route: '/events',
        method: 'POST',
        status: 202,
        message: 'request answered',
      }),
    );
    expect(lines.filter(({ level, message }) => level === 'info' && message === 'request answered')).toEqual([
      expect.objectContaining({ status: 400 }),
      expect.objectContaining({ status: 404 }),
    ]);
    expect(lines).toContainEqual(
      expect.objectContaining({ route: '/events', reason: 'invalid payload', details: 'version: has the wrong type' }),
    );
  });

  test('has probes at debug level', async () => {
    const door = await open();
    await fetch(`${door.url}/healthz`);
    expect(JSON.parse(door.log[0] ?? '{}')).toMatchObject({ level: 'debug', route: '/healthz', status: 200 });
  });
});

test('any input gets an answer below 500, and the server stays up', async () => {
  const door = await open();
  const types = fc.constantFrom(
    'application/x-protobuf',
    'application/json',
    'application/cloudevents+json',
    'a/b',
    '',
  );
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.json().map((json) => new TextEncoder().encode(json)),
    fc
      .record({ command: fc.string(), options: fc.dictionary(fc.string(), fc.string()) })
      .map((event) => new TextEncoder().encode(JSON.stringify(event))),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('/events', '/codex/tasks'), types, bodies, async (path, type, body) => {
      const response = await send(door, path, Buffer.from(body), { 'content-type': type, ...EVENT });
      expect(response.status).toBeLessThan(500);
      expect(typeof (await response.json())).toBe('object');
    }),
    { numRuns: 400 },
  );
  expect((await fetch(`${door.url}/healthz`)).status).toBe(200);
});
