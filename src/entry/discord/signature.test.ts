import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { isAuthentic, readPublicKey, type SignedRequest } from './signature.ts';

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const hex = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex');
const key = readPublicKey(hex);

const NOW = new Date('2026-02-03T04:05:06Z');
const timestamp = String(NOW.getTime() / 1000);
const body = Buffer.from('{"type":2,"id":"1190000000000000001","token":"aW50ZXJhY3Rpb24","data":{"name":"plan"}}');
const signatureOf = (text: string, bytes: Buffer) =>
  sign(null, Buffer.concat([Buffer.from(text), bytes]), privateKey).toString('hex');
const request: SignedRequest = { signature: signatureOf(timestamp, body), timestamp, body };

describe('isAuthentic', () => {
  test('passes what Discord signed, empty bodies too', () => {
    expect(isAuthentic(key, request, NOW)).toBe(true);
    expect(isAuthentic(readPublicKey(hex.toUpperCase()), request, NOW)).toBe(true);
    const nothing = Buffer.alloc(0);
    expect(isAuthentic(key, { ...request, body: nothing, signature: signatureOf(timestamp, nothing) }, NOW)).toBe(true);
  });

  test.each<[string, Partial<SignedRequest>]>([
    ['no signature', { signature: undefined }],
    ['no timestamp', { timestamp: undefined }],
    ['an empty signature', { signature: '' }],
    ['a short signature', { signature: request.signature?.slice(2) }],
    ['a long signature', { signature: `${request.signature}00` }],
    ['a signature in capitals', { signature: request.signature?.toUpperCase() }],
    ['two signatures', { signature: `${request.signature}, ${request.signature}` }],
    ['a signature of zeros', { signature: '0'.repeat(128) }],
    ['another timestamp', { timestamp: String(Number(timestamp) + 1) }],
    ['the same moment in other words', { timestamp: `0${timestamp}` }],
    ['a timestamp with a fraction', { timestamp: `${timestamp}.0` }],
    ['a timestamp that is no number', { timestamp: 'NaN' }],
    ['no body', { body: Buffer.alloc(0) }],
    ['more body', { body: Buffer.concat([body, Buffer.from(' ')]) }],
    ['the timestamp moved into the body', { timestamp: '', body: Buffer.from(timestamp + body.toString()) }],
  ])('refuses %s', (_what, change) => {
    expect(isAuthentic(key, { ...request, ...change }, NOW)).toBe(false);
  });

  test.each([
    [-300, true],
    [-301, false],
    [300, true],
    [301, false],
    [86_400, false],
  ])('signed %i seconds from now: %s', (seconds, passes) => {
    const at = String(Number(timestamp) + seconds);
    expect(isAuthentic(key, { signature: signatureOf(at, body), timestamp: at, body }, NOW)).toBe(passes);
  });

  test('another application’s signature does not pass', () => {
    const stranger = generateKeyPairSync('ed25519').privateKey;
    const signature = sign(null, Buffer.concat([Buffer.from(timestamp), body]), stranger).toString('hex');
    expect(isAuthentic(key, { ...request, signature }, NOW)).toBe(false);
  });

  // Most of its time is Ed25519 itself: some 10 s of one core.
  test('of 100,000 changed signatures and bodies none passes', { timeout: 180_000 }, () => {
    const random = seeded(1);
    let passed = 0;
    for (let count = 0; count < 100_000; count += 1) {
      const change = CHANGES[count % CHANGES.length]!;
      passed += isAuthentic(key, { ...request, ...change(random) }, NOW) ? 1 : 0;
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

/** A copy with at least one bit of one byte turned. */
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

/** Numbers that are the same in every run: a failure must come again. */
function seeded(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
