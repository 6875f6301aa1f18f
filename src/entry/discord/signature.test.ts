import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { isAuthentic, readPublicKey, readSeal } from './signature.ts';

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const hex = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex');
const key = readPublicKey(hex);

const NOW = new Date('2026-02-03T04:05:06Z');
const timestamp = String(NOW.getTime() / 1000);
const body = Buffer.from('{"type":2,"id":"1190000000000000001","token":"aW50ZXJhY3Rpb24","data":{"name":"plan"}}');
const signatureOf = (text: string, bytes: Buffer) =>
  sign(null, Buffer.concat([Buffer.from(text), bytes]), privateKey).toString('hex');
interface SignedRequest {
  readonly signature: string | undefined;
  readonly timestamp: string | undefined;
  readonly body: Buffer;
}

const passes = (by: KeyObject, { signature, timestamp: at, body: bytes }: SignedRequest): boolean => {
  const seal = readSeal(signature, at, NOW);
  return seal !== undefined && isAuthentic(by, seal, bytes);
};

const request: SignedRequest = { signature: signatureOf(timestamp, body), timestamp, body };

describe('signature check', () => {
  test('accepts a request that Discord signed, also with an empty body', () => {
    expect(passes(key, request)).toBe(true);
    expect(passes(readPublicKey(hex.toUpperCase()), request)).toBe(true);
    const nothing = Buffer.alloc(0);
    expect(passes(key, { ...request, body: nothing, signature: signatureOf(timestamp, nothing) })).toBe(true);
  });

  test.each<[string, Partial<SignedRequest>]>([
    ['no signature', { signature: undefined }],
    ['no timestamp', { timestamp: undefined }],
    ['an empty signature', { signature: '' }],
    ['a short signature', { signature: request.signature?.slice(2) }],
    ['a long signature', { signature: `${request.signature}00` }],
    ['an uppercase signature', { signature: request.signature?.toUpperCase() }],
    ['two signatures', { signature: `${request.signature}, ${request.signature}` }],
    ['a signature of zeros', { signature: '0'.repeat(128) }],
    ['another timestamp', { timestamp: String(Number(timestamp) + 1) }],
    ['the same time with a leading zero', { timestamp: `0${timestamp}` }],
    ['a timestamp with a fraction', { timestamp: `${timestamp}.0` }],
    ['a timestamp that is not a number', { timestamp: 'NaN' }],
    ['no body', { body: Buffer.alloc(0) }],
    ['a longer body', { body: Buffer.concat([body, Buffer.from(' ')]) }],
    ['the timestamp moved into the body', { timestamp: '', body: Buffer.from(timestamp + body.toString()) }],
  ])('refuses %s', (_what, change) => {
    expect(passes(key, { ...request, ...change })).toBe(false);
  });

  test.each([
    [-300, true],
    [-301, false],
    [300, true],
    [301, false],
    [86_400, false],
  ])('accepts a timestamp %i seconds from now: %s', (seconds, expected) => {
    const at = String(Number(timestamp) + seconds);
    expect(passes(key, { signature: signatureOf(at, body), timestamp: at, body })).toBe(expected);
  });

  test('refuses the signature of another application', () => {
    const stranger = generateKeyPairSync('ed25519').privateKey;
    const signature = sign(null, Buffer.concat([Buffer.from(timestamp), body]), stranger).toString('hex');
    expect(passes(key, { ...request, signature })).toBe(false);
  });

  // Most of its time is Ed25519 itself. 10,000 requests change every byte of both several times.
  test('refuses 10,000 changed signatures and bodies', () => {
    const random = seeded(1);
    let passed = 0;
    for (let count = 0; count < 10_000; count += 1) {
      const change = CHANGES[count % CHANGES.length]!;
      passed += passes(key, { ...request, ...change(random) }) ? 1 : 0;
    }
    expect(passed).toBe(0);
  });
});

type Random = (below: number) => number;

const CHANGES: readonly ((random: Random) => Partial<SignedRequest>)[] = [
  (random) => ({ body: otherByte(body, random) }),
  (random) => ({ body: shorterOrLonger(body, random) }),
  (random) => ({ signature: otherByte(Buffer.from(request.signature ?? '', 'hex'), random).toString('hex') }),
  (random) => ({ signature: otherByte(Buffer.from(request.signature ?? ''), random).toString('latin1') }),
  (random) => ({ timestamp: otherByte(Buffer.from(timestamp), random).toString('latin1') }),
];

/** A copy with at least one bit of one byte flipped. */
function otherByte(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  const index = random(copy.length);
  copy[index] = (copy[index] ?? 0) ^ (1 + random(255));
  return copy;
}

function shorterOrLonger(bytes: Buffer, random: Random): Buffer {
  const at = random(bytes.length);
  const inserted = random(2) === 0 ? Buffer.alloc(0) : Buffer.from([random(256)]);
  const skipped = inserted.length === 0 ? 1 : 0;
  return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + skipped)]);
}

/** The same numbers in every run: failures are reproducible. */
function seeded(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
