import type { DescField } from '@bufbuild/protobuf';

/**
 * Maximum length of a text that may become a key in Postgres, in UTF-16 units: an index entry can have about 2,700 bytes, and a
 * unit takes at most 3 bytes.
 */
export const MAX_KEY_LENGTH = 512;
/** Ids, names and other short texts: indexed, kept in sessions, echoed in answers. */
export const MAX_SHORT_LENGTH = 256;
/** Discord's interaction tokens have about 200 characters and may grow. */
export const MAX_TOKEN_LENGTH = 2048;
/**
 * Text that people write. It is more than a workflow can have: shorter texts that are too long for one are refused with the
 * workflow's limit.
 */
export const MAX_LONG_LENGTH = 1024 * 1024;

/** Discord's maximum: a command, a group and a subcommand of 32 characters each, with separators, have 98. */
const MAX_COMMAND_LENGTH = 100;
const MAX_TITLE_LENGTH = 2048;
const MAX_URL_LENGTH = 2048;

/** By message and field; for a map, the bound of its values. */
const BOUNDS: Readonly<Record<string, number>> = {
  'CommandEvent.interaction_id': MAX_KEY_LENGTH,
  'CommandEvent.command': MAX_COMMAND_LENGTH,
  'CommandEvent.token': MAX_TOKEN_LENGTH,
  'CommandEvent.options': MAX_LONG_LENGTH,
  'CodexTask.delivery_id': MAX_KEY_LENGTH,
  'CodexTask.repository': MAX_KEY_LENGTH,
  'CodexTask.base': MAX_TITLE_LENGTH,
  'CodexTask.head': MAX_TITLE_LENGTH,
  'CodexTask.prompt': MAX_LONG_LENGTH,
  'CodexTask.issue_url': MAX_URL_LENGTH,
  'CodexTask.issue_title': MAX_TITLE_LENGTH,
  'CodexTask.issue_body': MAX_LONG_LENGTH,
  'CodexTask.plan_comment_url': MAX_URL_LENGTH,
  'CodexTask.plan_comment_body': MAX_LONG_LENGTH,
  'CodexReviewContext.summary': MAX_LONG_LENGTH,
  'CodexReviewContext.additional_notes': MAX_LONG_LENGTH,
  'CodexReviewThread.summary': MAX_LONG_LENGTH,
  'CodexReviewThread.url': MAX_URL_LENGTH,
  'CodexFailingCheck.name': MAX_TITLE_LENGTH,
  'CodexFailingCheck.url': MAX_URL_LENGTH,
  'CodexFailingCheck.details': MAX_LONG_LENGTH,
  'CodexIterationsPolicy.stop_on': MAX_TITLE_LENGTH,
  'CodexIterationsPolicy.reason': MAX_LONG_LENGTH,
};

/** The maximum length of a field, in UTF-16 units; unlisted fields are short. */
export function maxLengthOf({ parent, name }: DescField): number {
  return BOUNDS[`${parent.name}.${name}`] ?? MAX_SHORT_LENGTH;
}
