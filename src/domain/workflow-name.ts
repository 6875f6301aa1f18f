import { hash } from 'node:crypto';

const SUFFIX_LENGTH = 6;
/** A workflow's name becomes a label value on its pods, so it must fit one: Kubernetes allows 63 characters. */
const MAX_NAME_LENGTH = 63;

/** Lowercase letters, digits and inner dashes, as allowed in a DNS-1123 label. Empty if nothing is left. */
export function dnsLabel(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|(?<!-)-+$/g, '');
}

/** The prefix of a workflow's name: the requested one, or `run` if nothing of it is left. */
export function namePrefix(text: string): string {
  return dnsLabel(text) || 'run';
}

/**
 * `<prefix>-<yyyymmdd>-<hhmmss>-<6 characters of the delivery id's hash>`, at most 63 characters, times in UTC.
 *
 * @param salt 0 for the first name of a delivery; the next number when a foreign object already has that name
 */
export function workflowName(prefix: string, acceptedAt: Date, deliveryId: string, salt = 0): string {
  const iso = acceptedAt.toISOString();
  const date = iso.slice(0, 10).replaceAll('-', '');
  const time = iso.slice(11, 19).replaceAll(':', '');
  const source = salt === 0 ? deliveryId : `${deliveryId}\n${salt}`;
  const suffix = BigInt(`0x${hash('sha256', source)}`)
    .toString(36)
    .slice(-SUFFIX_LENGTH);
  const tail = `-${date}-${time}-${suffix}`;
  const room = MAX_NAME_LENGTH - tail.length;
  const head = namePrefix(prefix)
    .slice(0, room)
    .replace(/(?<!-)-+$/, '');
  return `${head}${tail}`;
}

/** The value of the delivery label: first 32 hex digits of sha256(delivery id). */
export function deliveryLabel(deliveryId: string): string {
  return hash('sha256', deliveryId).slice(0, 32);
}

/**
 * Text made safe for a Kubernetes label value: at most 63 letters, digits and `-_.`, beginning and ending with a letter or digit.
 */
export function labelValue(text: string): string {
  return text
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .slice(0, MAX_NAME_LENGTH)
    .replaceAll(/^[^A-Za-z0-9]+|(?<![^A-Za-z0-9])[^A-Za-z0-9]+$/g, '');
}
