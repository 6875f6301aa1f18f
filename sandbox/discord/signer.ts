import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

/** Signs Discord's requests with the simulation's own key pair. */
export interface Signer {
  /** For `discord.public_key`: 64 hex digits. */
  readonly publicKey: string;
  /** Hex, over the timestamp (seconds since 1970, as text) and the body. */
  sign(timestamp: string, body: string): string;
}

export function createSigner(): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    publicKey: rawHex(publicKey),
    sign: (timestamp, body) => sign(null, Buffer.from(timestamp + body), privateKey).toString('hex'),
  };
}

function rawHex(key: KeyObject): string {
  const { x } = key.export({ format: 'jwk' });
  return Buffer.from(x ?? '', 'base64url').toString('hex');
}
