import { createHash, randomUUID } from 'node:crypto';

/** The namespace of all derived ids; the value is arbitrary but must never change. */
const NAMESPACE = Buffer.from('6f1c0a5ed5c84d6fb6f6d3f1a1f0c7be', 'hex');

/** The id of what a request adds: the same for the same parts (RFC 9562, version 5), or a random one without a key. */
export function idFor(key: string, ...parts: readonly string[]): string {
  if (key === '') {
    return randomUUID();
  }
  const hash = createHash('sha1')
    .update(NAMESPACE)
    .update(JSON.stringify([...parts, key]));
  const bytes = hash.digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
