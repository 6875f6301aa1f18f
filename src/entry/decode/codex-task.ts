import type { CodexDelivery } from '../../domain/codex-delivery.ts';
import type { Door } from '../../domain/command.ts';
import { Refusal, refusalOfField } from '../../domain/refusal.ts';
import { type CodexTask, CodexTaskSchema } from '../../proto/proompteng/froussard/v1/codex_task_pb.ts';
import { deliveryIdOf } from './event-id.ts';
import type { Incoming } from './incoming.ts';
import { decodeMessage } from './message.ts';
import { openEnvelope } from './payload.ts';

/** The range of a Timestamp in seconds: the years 1 to 9999. Outside of it there is no JSON form, which the workflow receives. */
const FIRST_SECOND = -62_135_596_800n;
const LAST_SECOND = 253_402_300_799n;

/**
 * Decodes a CodexTask in protobuf or proto3 JSON as a delivery. The delivery id is empty if neither the task nor a CloudEvent has
 * one: a random one would run the task again at every retry, so the door decides what to do.
 *
 * @throws Refusal `unsupported_media_type`, `empty_payload` or `invalid_payload`
 */
export function decodeCodexDelivery(incoming: Incoming, door: Door): CodexDelivery {
  const { payload, eventId, traceparent } = openEnvelope(incoming, door);
  const task = decodeMessage(CodexTaskSchema, payload);
  checkIssuedAt(task);
  return { door, deliveryId: deliveryIdOf(task.deliveryId, eventId), task, traceparent };
}

/**
 * Decodes a CodexTask inside a larger JSON body. Unlike messages of other senders, which may be newer than facteur, it must not
 * have unknown top-level fields.
 *
 * @param key its identity if it has none itself
 * @throws Refusal `invalid_payload`
 */
export function decodeCodexTask(value: unknown, key: string): Pick<CodexDelivery, 'deliveryId' | 'task'> {
  const known = new Set(CodexTaskSchema.fields.flatMap(({ name, jsonName }) => [name, jsonName]));
  const unknown = Object.keys(value as object).filter((name) => !known.has(name));
  if (unknown.length > 0) {
    const faults = unknown.map((name) => ({ field: name.slice(0, 100), message: 'is unknown' }));
    throw new Refusal('invalid_payload', 'unknown fields', { faults });
  }
  const task = decodeMessage(CodexTaskSchema, { format: 'json', value });
  checkIssuedAt(task);
  return { deliveryId: deliveryIdOf(task.deliveryId, key), task };
}

function checkIssuedAt({ issuedAt }: CodexTask): void {
  if (issuedAt === undefined) {
    return;
  }
  const { seconds, nanos } = issuedAt;
  if (seconds < FIRST_SECOND || seconds > LAST_SECOND || nanos < 0 || nanos > 999_999_999) {
    throw refusalOfField('invalid_payload', 'issued_at', 'is out of range');
  }
}
