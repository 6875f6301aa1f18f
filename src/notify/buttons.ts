import type { MessageBody } from '../clients/discord/message.ts';
import type { RunState } from '../domain/run-state.ts';
import { buttonId, type ButtonAction } from './button-id.ts';
import type { RenderOptions, RunView } from './run-view.ts';
import { WORDS } from './words.ts';

const ROW = 1;
const BUTTON = 2;
const BLUE = 1;
const GREY = 2;
const RED = 4;
const LINK = 5;
/** Discord's limit on a link. */
const MAX_URL = 512;

const CANCELABLE: ReadonlySet<RunState> = new Set(['queued', 'submitted', 'running']);
const RETRYABLE: ReadonlySet<RunState> = new Set(['failed', 'error', 'canceled', 'refused', 'lost']);
const WITH_LOGS: ReadonlySet<RunState> = new Set(['failed', 'error']);
/** Nothing of it is (or is left) in the cluster. */
const WITHOUT_WORKFLOW: ReadonlySet<RunState> = new Set(['queued', 'refused', 'skipped', 'lost']);

type Components = MessageBody['components'];

/** One row with what can be done about the run now, four buttons at most; no row when that is nothing. */
export function runButtons(run: RunView, { uiUrl }: Pick<RenderOptions, 'uiUrl'>): Components {
  const { state, cancelRequested } = run;
  const link = WITHOUT_WORKFLOW.has(state) ? undefined : linkTo(run, uiUrl);
  const buttons = [
    ...(CANCELABLE.has(state) ? [button(run, 'cancel', cancelRequested)] : []),
    ...(RETRYABLE.has(state) ? [button(run, 'retry')] : []),
    ...(WITH_LOGS.has(state) ? [button(run, 'logs')] : []),
    ...(link === undefined ? [] : [{ type: BUTTON, style: LINK, label: WORDS.linkButton, url: link } as const]),
  ];
  return buttons.length === 0 ? [] : [{ type: ROW, components: buttons }];
}

const LOOKS = {
  cancel: { style: RED, label: WORDS.cancelButton },
  retry: { style: BLUE, label: WORDS.retryButton },
  logs: { style: GREY, label: WORDS.logsButton },
} as const;

function button({ runId }: RunView, action: ButtonAction, disabled = false) {
  const look = LOOKS[action];
  return {
    type: BUTTON,
    style: look.style,
    label: disabled ? WORDS.canceling : look.label,
    custom_id: buttonId(action, runId),
    disabled,
  } as const;
}

/** Discord refuses a whole message for a link that leads nowhere public, such as a bare host name in a cluster. */
function linkTo({ namespace, workflowName, workflowUid }: RunView, uiUrl: string | undefined): string | undefined {
  if (uiUrl === undefined) {
    return undefined;
  }
  const uid = workflowUid === '' ? '' : `?uid=${encodeURIComponent(workflowUid.toWellFormed())}`;
  const path = [namespace, workflowName].map((part) => encodeURIComponent(part.toWellFormed())).join('/');
  const parsed = URL.parse(`${uiUrl}/workflows/${path}${uid}`);
  const isPublic = parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.hostname.includes('.');
  return isPublic && parsed.href.length <= MAX_URL ? parsed.href : undefined;
}
