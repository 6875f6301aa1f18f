/** What a button under a run's message does. */
export const BUTTON_ACTIONS = ['cancel', 'retry', 'logs'] as const;
export type ButtonAction = (typeof BUTTON_ACTIONS)[number];

const PATTERN = /^facteur:(cancel|retry|logs):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** The `custom_id` that comes back when the button is pressed: 51 characters at most, Discord takes 100. */
export function buttonId(action: ButtonAction, runId: string): string {
  return `facteur:${action}:${runId}`;
}

/** What was pressed and for which run, or undefined for an id that is none of ours. */
export function parseButtonId(customId: string): { readonly action: ButtonAction; readonly runId: string } | undefined {
  const [, action, runId] = PATTERN.exec(customId) ?? [];
  return action === undefined || runId === undefined ? undefined : { action: action as ButtonAction, runId };
}
