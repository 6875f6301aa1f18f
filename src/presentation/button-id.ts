/** What a button under a run's message does. */
export const BUTTON_ACTIONS = ['cancel', 'retry', 'again', 'logs', 'request'] as const;
export type ButtonAction = (typeof BUTTON_ACTIONS)[number];

const PATTERN = /^facteur:(cancel|retry|again|logs|request):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** The `custom_id` that comes back when the button is pressed: 52 characters at most, Discord takes 100. */
export function buttonId(action: ButtonAction, runId: string): string {
  return `facteur:${action}:${runId}`;
}

const APPROVAL = /^facteur:(approve|reject):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([0-9a-f]{16})$/;

type ApprovalAction = 'approve' | 'reject';

/** Of the buttons of an approval, and of the form that they open: 69 characters. */
export function approvalButtonId(action: ApprovalAction, runId: string, key: string): string {
  return `facteur:${action}:${runId}:${key}`;
}

/** The approval of a button or a form, or undefined for another id. */
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
