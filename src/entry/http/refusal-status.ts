import type { RefusalKind } from '../../domain/refusal.ts';

/** The HTTP status of every refusal. All are 4xx: KafkaSource retries 5xx, and retrying a refusal cannot help. */
export const REFUSAL_STATUS: Readonly<Record<RefusalKind, number>> = {
  unauthorized: 401,
  empty_payload: 400,
  invalid_payload: 400,
  missing_command: 400,
  unknown_command: 422,
  unsupported_stage: 400,
  missing_delivery_id: 400,
  unsupported_media_type: 415,
  body_too_large: 413,
  forbidden: 403,
  invalid_option: 422,
  command_changed: 422,
  template_tag: 422,
  unprintable: 422,
  too_large: 422,
  refused: 422,
};
