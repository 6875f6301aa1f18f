import { Refusal } from '../../domain/refusal.ts';
import { checkText } from './text.ts';

/**
 * The longest text that may become a key in Postgres, in UTF-16 units: an index entry holds some 2,700 bytes, and a unit
 * takes 3 bytes at most.
 */
export const MAX_KEY_LENGTH = 512;

/**
 * The identity of a delivery: the payload's own, else the CloudEvent's; empty when neither has one. A blank one counts
 * as none, any other stays as it is.
 *
 * @throws Refusal `invalid_payload`
 */
export function deliveryIdOf(own: string, eventId: string): string {
  const id = own.trim() === '' ? eventId : own;
  checkText(id, 'delivery id');
  checkKeyLength(id, 'delivery id');
  return id;
}

/**
 * Refuses text that is too long for an index.
 *
 * @throws Refusal `invalid_payload`
 */
export function checkKeyLength(value: string, path: string): void {
  if (value.length > MAX_KEY_LENGTH) {
    throw new Refusal('invalid_payload', `${path}: must have at most ${MAX_KEY_LENGTH} characters`);
  }
}
