import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type CryptoKey, type JWK } from 'jose';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openDoor, type OpenDoor } from '../../../test/support/http-door.ts';
import { post, RawClient } from '../../../test/support/raw-client.ts';
import { createLogger } from '../../base/logger.ts';
import { Secret } from '../../base/secret.ts';
import { createArgoClient } from '../../clients/argo/client.ts';
import type { ArgoClient } from '../../clients/argo/workflows.ts';
import { accountTokenCheck } from './account-tokens.ts';

// The cluster's keys come from a server over a socket, as from a real API server.

const RULE = {
  issuer: 'https://kubernetes.default.svc',
  audience: 'facteur-intake',
  subjects: ['system:serviceaccount:facteur:commands', 'system:serviceaccount:facteur:tasks'],
};
const START = Date.parse('2026-02-03T04:05:06Z');
const SECOND = 1_000;
const MINUTE = 60_000;

interface SigningKey {
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

async function newKey(kid: string, alg = 'RS256'): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** Shared by all tests: generating a key takes longer than most of them. */
const first = await newKey('first');

let published: readonly JWK[];
let reads: number;
let up: boolean;
/** The cluster answers after this resolves. */
let answering: Promise<void>;
let now: number;
let server: Server;
let client: ArgoClient;
let door: OpenDoor;
let log: string[];

beforeEach(async () => {
  [published, reads, up, now, log] = [[first.jwk], 0, true, START, []];
  answering = Promise.resolve();
  server = createServer((request, response) => {
    if (request.url === '/openid/v1/jwks') {
      reads += 1;
    }
    void answering.then(() => {
      response.writeHead(up ? 200 : 503, { 'content-type': 'application/jwk-set+json' });
      response.end(up ? JSON.stringify({ keys: published }) : '{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connection = { server: `http://127.0.0.1:${port}`, headers: {}, tls: {} };
  client = createArgoClient({ source: 'test', namespace: undefined, connection: async () => connection });
  door = await openDoor({
    intakeTokens: [new Secret('shared')],
    acceptsAccount: accountTokenCheck(RULE, {
      clock: { now: () => new Date(now) },
      logger: createLogger('debug', { write: (line) => log.push(line) }),
      fetchKeys: () => client.tokenKeys(),
    }),
  });
});

afterEach(async () => {
  await door.close();
  await client.close();
  server.close();
});

interface Claims {
  readonly iss?: string;
  readonly aud?: string | string[];
  readonly sub?: string;
  readonly exp?: number;
  readonly nbf?: number;
}

const VALID: Claims = { iss: RULE.issuer, aud: [RULE.audience], sub: RULE.subjects[0]!, exp: START / SECOND + 3600 };

async function tokenOf(claims: Claims = VALID, { privateKey, jwk } = first): Promise<string> {
  return new SignJWT({ ...claims }).setProtectedHeader({ alg: jwk.alg!, kid: jwk.kid! }).sign(privateKey);
}

async function send(token: string, path = '/events'): Promise<Response> {
  const body = path === '/events' ? '{"command":"plan"}' : '{"stage":2,"deliveryId":"d-1"}';
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  return fetch(door.url + path, { method: 'POST', headers, body });
}

test('accepts the token of a configured account on both routes, and reads the keys once', async () => {
  const token = await tokenOf();
  expect((await send(token)).status).toBe(202);
  expect((await send(token, '/codex/tasks')).status).toBe(202);
  expect((await send(await tokenOf({ ...VALID, sub: RULE.subjects[1]! }))).status).toBe(202);
  expect(reads).toBe(1);
});

test('also accepts configured tokens, without reading the keys', async () => {
  expect((await send('shared')).status).toBe(202);
  expect(reads).toBe(0);
});

test.each<[number, string, Claims]>([
  [202, 'one of several audiences', { ...VALID, aud: ['other', RULE.audience] }],
  [401, 'another audience', { ...VALID, aud: ['https://kubernetes.default.svc'] }],
  [401, 'no audience', { ...VALID, aud: [] }],
  [401, 'another issuer', { ...VALID, iss: 'https://kubernetes.default.svc/' }],
  [401, 'another account', { ...VALID, sub: 'system:serviceaccount:argo-workflows:default' }],
  [401, 'no subject', { iss: RULE.issuer, aud: RULE.audience, exp: VALID.exp! }],
  [401, 'no expiry', { iss: RULE.issuer, aud: RULE.audience, sub: VALID.sub! }],
  [202, 'an expiry 29 seconds ago', { ...VALID, exp: START / SECOND - 29 }],
  [401, 'an expiry 31 seconds ago', { ...VALID, exp: START / SECOND - 31 }],
  [202, 'a start in 29 seconds', { ...VALID, nbf: START / SECOND + 29 }],
  [401, 'a start in 31 seconds', { ...VALID, nbf: START / SECOND + 31 }],
])('%i for a token with %s', async (status, _what, claims) => {
  expect((await send(await tokenOf(claims))).status).toBe(status);
});

describe('a forged token is refused', () => {
  test('without a signature', async () => {
    const token = new UnsecuredJWT({ ...VALID }).encode();
    expect((await send(token)).status).toBe(401);
  });

  test('signed with the public key as a shared secret', async () => {
    const secret = new TextEncoder().encode(JSON.stringify(first.jwk));
    const token = await new SignJWT({ ...VALID }).setProtectedHeader({ alg: 'HS256', kid: 'first' }).sign(secret);
    expect((await send(token)).status).toBe(401);
  });

  test('signed by another key under a known id', async () => {
    expect((await send(await tokenOf(VALID, await newKey('first')))).status).toBe(401);
  });

  test.each(['a.b.c', 'not-a-jwt', '..', 'eyJhbGciOiJSUzI1NiJ9..'])('%j', async (token) => {
    expect((await send(token)).status).toBe(401);
  });
});

test('accepts an elliptic curve key', async () => {
  const key = await newKey('elliptic', 'ES256');
  published = [key.jwk];
  expect((await send(await tokenOf(VALID, key))).status).toBe(202);
});

test('reads a rotated key; the previous one stays valid while the cluster publishes it', async () => {
  expect((await send(await tokenOf())).status).toBe(202);
  const second = await newKey('second');
  published = [second.jwk, first.jwk];
  now += 6 * SECOND;
  expect((await send(await tokenOf(VALID, second))).status).toBe(202);
  expect((await send(await tokenOf())).status).toBe(202);
  expect(reads).toBe(2);
  published = [second.jwk];
  now += 11 * MINUTE;
  expect((await send(await tokenOf())).status).toBe(401);
});

test('answers 503 if a key is unknown just after a read: the sender retries', async () => {
  expect((await send(await tokenOf())).status).toBe(202);
  const second = await newKey('second');
  now += SECOND;
  const answer = await send(await tokenOf(VALID, second));
  expect(answer.status).toBe(503);
  expect(answer.headers.get('retry-after')).toBe('5');
});

test('made-up key ids cause no requests to the cluster', async () => {
  const forged = await tokenOf(VALID, await newKey('made-up'));
  const answers = await Promise.all(Array.from({ length: 20 }, () => send(forged)));
  expect(answers.map(({ status }) => status).filter((status) => status !== 401 && status !== 503)).toEqual([]);
  expect(reads).toBe(1);
});

test('many concurrent senders share one read', async () => {
  const token = await tokenOf();
  const answers = await Promise.all(Array.from({ length: 20 }, () => send(token)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
  expect(reads).toBe(1);
});

describe('a cluster that does not answer', () => {
  test('for a while: at most 1000 requests wait for it, and the others get 503', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    answering = promise;
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${await tokenOf()}` };
    const request = post('/events', '{"command":"plan"}', headers);
    const many = await RawClient.connect(door.port);
    await many.send(request.repeat(1001));
    await vi.waitFor(() => expect(door.log.join('')).toContain('too many requests in flight'));
    const other = await RawClient.connect(door.port);
    await other.send(request);
    await other.answers(1);
    expect(other.statuses).toEqual([503]);
    expect(other.received).toContain('retry-after: 5');
    expect((await send('shared')).status).toBe(202);
    resolve();
    await many.answers(1001);
    expect(many.statuses).toEqual([...Array.from({ length: 1000 }, () => 202), 503]);
    many.close();
    other.close();
  });

  test('from the start: senders retry until it does', async () => {
    up = false;
    expect((await send(await tokenOf())).status).toBe(503);
    expect(log.join('')).toContain('cannot read the keys that the cluster signs tokens with');
    up = true;
    now += 6 * SECOND;
    expect((await send(await tokenOf())).status).toBe(202);
  });

  test('later: the known keys stay in use', async () => {
    expect((await send(await tokenOf())).status).toBe(202);
    up = false;
    now += 11 * MINUTE;
    expect((await send(await tokenOf())).status).toBe(202);
    expect((await send('shared')).status).toBe(202);
    expect(reads).toBeGreaterThan(1);
  });

  test('with keys: the sender gets 503', async () => {
    published = 'a page' as never;
    expect((await send(await tokenOf())).status).toBe(503);
  });
});
