import { createPublicKey, verify, type KeyObject } from 'node:crypto';

/** How far the timestamp may lie from our clock, either way: clocks differ, and a captured request must not work for long. */
const TOLERANCE_MS = 5 * 60 * 1000;
/** As Discord writes it: 64 bytes in lower case. */
const SIGNATURE = /^[0-9a-f]{128}$/;
/** Seconds since 1970. */
const TIMESTAMP = /^[0-9]{1,12}$/;

/** What a request to the interactions endpoint claims to be: https://discord.com/developers/docs/interactions/overview */
export interface SignedRequest {
  /** `X-Signature-Ed25519`. */
  readonly signature: string | undefined;
  /** `X-Signature-Timestamp`. */
  readonly timestamp: string | undefined;
  /** Every byte as it came. */
  readonly body: Buffer;
}

/**
 * The application's key, made once: making it again for each request costs a quarter of a verification.
 *
 * @param publicKey 64 hex digits
 */
export function readPublicKey(publicKey: string): KeyObject {
  const x = Buffer.from(publicKey, 'hex').toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/** Whether Discord signed these bytes, within the last minutes by `now`. Looks at nothing inside the body. */
export function isAuthentic(key: KeyObject, { signature, timestamp, body }: SignedRequest, now: Date): boolean {
  if (signature === undefined || timestamp === undefined || !SIGNATURE.test(signature) || !TIMESTAMP.test(timestamp)) {
    return false;
  }
  if (Math.abs(Number(timestamp) * 1000 - now.getTime()) > TOLERANCE_MS) {
    return false;
  }
  return verify(null, Buffer.concat([Buffer.from(timestamp), body]), key, Buffer.from(signature, 'hex'));
}
