import { createPublicKey, verify, type KeyObject } from 'node:crypto';

/** How far the timestamp may differ from our clock: clocks differ, but a captured request must soon become invalid. */
const TOLERANCE_MS = 5 * 60 * 1000;
/** In Discord's format: 64 bytes as lowercase hex. */
const SIGNATURE = /^[0-9a-f]{128}$/;
/** Seconds since 1970. */
const TIMESTAMP = /^[0-9]{1,12}$/;

/** The signature headers of a request to the interactions endpoint: https://discord.com/developers/docs/interactions/overview */
interface Seal {
  readonly signature: string;
  readonly timestamp: string;
}

/**
 * The application's key, created once: doing it for each request costs a quarter of a verification.
 *
 * @param publicKey 64 hex digits
 */
export function readPublicKey(publicKey: string): KeyObject {
  const x = Buffer.from(publicKey, 'hex').toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/**
 * The values of the headers `X-Signature-Ed25519` and `X-Signature-Timestamp`; undefined if their format is not Discord's, or if
 * the timestamp is not within 5 minutes of `now`. Does not need the body, which may not have arrived yet.
 */
export function readSeal(signature: unknown, timestamp: unknown, now: Date): Seal | undefined {
  if (typeof signature !== 'string' || typeof timestamp !== 'string') {
    return undefined;
  }
  const isRecent = Math.abs(Number(timestamp) * 1000 - now.getTime()) <= TOLERANCE_MS;
  return SIGNATURE.test(signature) && TIMESTAMP.test(timestamp) && isRecent ? { signature, timestamp } : undefined;
}

/** Whether Discord signed exactly these bytes. Does not parse the body. */
export function isAuthentic(key: KeyObject, { signature, timestamp }: Seal, body: Buffer): boolean {
  return verify(null, Buffer.concat([Buffer.from(timestamp), body]), key, Buffer.from(signature, 'hex'));
}
