/** The actions of a run's buttons: those under its message, and `confirm`, which answers the question before it runs again. */
export const BUTTON_ACTIONS = ['cancel', 'retry', 'again', 'confirm', 'logs', 'request'] as const;
export type ButtonAction = (typeof BUTTON_ACTIONS)[number];

const PATTERN = /^facteur:(cancel|retry|again|confirm|logs|request):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** The `custom_id` that Discord returns when the button is pressed: at most 52 characters; Discord allows 100. */
export function buttonId(action: ButtonAction, runId: string): string {
  return `facteur:${action}:${runId}`;
}

const APPROVAL = /^facteur:(approve|reject):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([0-9a-f]{16})$/;

type ApprovalAction = 'approve' | 'reject';

/** The id of an approval's buttons and of the form that they open: at most 69 characters. */
export function approvalButtonId(action: ApprovalAction, runId: string, key: string): string {
  return `facteur:${action}:${runId}:${key}`;
}

/** The approval that a button or form belongs to, or undefined for another id. */
export function parseApprovalButtonId(
  customId: string,
): { readonly action: ApprovalAction; readonly runId: string; readonly key: string } | undefined {
  const [, action, runId, key] = APPROVAL.exec(customId) ?? [];
  return action === undefined || runId === undefined || key === undefined
    ? undefined
    : { action: action as ApprovalAction, runId, key };
}

/** The pressed button and its run, or undefined for an unknown id. */
export function parseButtonId(customId: string): { readonly action: ButtonAction; readonly runId: string } | undefined {
  const [, action, runId] = PATTERN.exec(customId) ?? [];
  return action === undefined || runId === undefined ? undefined : { action: action as ButtonAction, runId };
}

const REVIEW =
  /^facteur:(?:review:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})|(trust|retire):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([0-9a-z]{1,10}))$/;

/** A button for reviewing a run's reflections: it asks to see one, or decides about the one shown. */
export type ReviewButton =
  | { readonly action: 'review'; readonly runId: string; readonly reflectionId?: undefined }
  | ({ readonly action: 'trust' | 'retire' } & ReviewedText);

/** A reflection in the version that the reviewer saw. */
interface ReviewedText {
  readonly runId: string;
  readonly reflectionId: string;
  /** Changes with every edit. */
  readonly version: number;
}

/** The id of the button that asks for a reflection to review. */
export function reviewButtonId(runId: string): string {
  return `facteur:review:${runId}`;
}

/** The id of a button that decides: at most 99 characters, because the version is in base 36. */
export function decisionButtonId(action: 'trust' | 'retire', { runId, reflectionId, version }: ReviewedText): string {
  return `facteur:${action}:${runId}:${reflectionId}:${version.toString(36)}`;
}

export function parseReviewButtonId(customId: string): ReviewButton | undefined {
  const [, asking, action, runId, reflectionId, version] = REVIEW.exec(customId) ?? [];
  if (asking !== undefined) {
    return { action: 'review', runId: asking };
  }
  return action === undefined || runId === undefined || reflectionId === undefined || version === undefined
    ? undefined
    : { action: action as 'trust' | 'retire', runId, reflectionId, version: Number.parseInt(version, 36) };
}
