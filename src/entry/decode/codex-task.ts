import type { CodexDelivery } from '../../domain/codex-delivery.ts';
import type { Door } from '../../domain/command.ts';
import { Refusal } from '../../domain/refusal.ts';
import { type CodexTask, CodexTaskSchema } from '../../proto/proompteng/froussard/v1/codex_task_pb.ts';
import { checkKeyLength, deliveryIdOf } from './delivery-id.ts';
import type { Incoming } from './incoming.ts';
import { decodeMessage } from './message.ts';
import { openEnvelope } from './payload.ts';

/** What a Timestamp may hold, in seconds: the years 1 to 9999. Beyond them it has no JSON, which the workflow is given. */
const FIRST_SECOND = -62_135_596_800n;
const LAST_SECOND = 253_402_300_799n;

/**
 * A CodexTask in protobuf or proto3 JSON as a delivery. The delivery id is empty when neither the task nor a CloudEvent
 * has one: a fresh one would run the task again at every retry, so the door decides what to say.
 *
 * @throws Refusal `unsupported_media_type`, `empty_payload` or `invalid_payload`
 */
export function decodeCodexDelivery(incoming: Incoming, door: Door): CodexDelivery {
  const { payload, eventId, traceparent } = openEnvelope(incoming);
  const task = decodeMessage(CodexTaskSchema, payload);
  checkIssuedAt(task);
  checkKeyLength(task.repository, 'repository');
  return { door, deliveryId: deliveryIdOf(task.deliveryId, eventId), task, traceparent };
}

function checkIssuedAt({ issuedAt }: CodexTask): void {
  if (issuedAt === undefined) {
    return;
  }
  const { seconds, nanos } = issuedAt;
  if (seconds < FIRST_SECOND || seconds > LAST_SECOND || nanos < 0 || nanos > 999_999_999) {
    throw new Refusal('invalid_payload', 'issued_at: out of range');
  }
}
