import type { MessageBody } from '../clients/discord/message.ts';
import { endedWithoutWorkflow, isFinished, type RunState } from '../domain/run-state.ts';
import type { RunResult } from '../domain/run-result.ts';
import type { RenderOptions, ShownRun } from './shown-run.ts';
import { actorText } from '../presentation/discord-actor.ts';
import { codeBlock, inlineCode, namedValue, requestCode } from '../presentation/safe-text.ts';
import { doorName } from '../presentation/door-name.ts';
import { describeDuration } from '../presentation/duration.ts';
import { messageUrl } from '../presentation/message-url.ts';
import { STATE_WORDS, SUSPENDED_WORDS, WAITING_WORDS, WORDS } from '../presentation/words.ts';
import { workflowUrl } from '../domain/workflow-url.ts';
import { approvalButtons, approvalLines, textLength, isSuspended, waitsForApproval } from './render-approvals.ts';
import { reviewButtons } from './render-review.ts';
import { queueLine } from './queue-line.ts';
import { buttonId } from '../presentation/button-id.ts';

/** Limits in characters. The total always stays below Discord's 2000: approvals, which can be many, get the remaining room. */
const MAX_CONTENT = 1700;
const MAX_REQUEST = 160;
const MAX_NAME = 100;
const MAX_STEP = 60;
/** The prefix that marks an API client in the history. */
const API_CLIENT = 'api ';
const RESULTS = { chars: 500, lines: 8 };
const REASON = { chars: 700, lines: 10 };

/**
 * Renders a run as a message: the state first, then the explanation, then where it runs. Pure. Untrusted text appears only in
 * code, so it cannot format, link or mention.
 */
export function renderRun(run: ShownRun, options: RenderOptions): MessageBody {
  const above = [headline(run, options), ...details(run, options)];
  const below = [place(run), ...relatives(run), options.last ? small(WORDS.lastWord) : ''];
  const room = MAX_CONTENT - textLength([...above, ...below]);
  const lines = [...above, ...approvalLines(run, room), ...below];
  return {
    content: lines.filter((line) => line !== '').join('\n'),
    components: [...runButtons(run, options), ...approvalButtons(run), ...reviewButtons(run, options)],
    allowed_mentions: { parse: [] },
  };
}

function headline(run: ShownRun, { detached, usualMs }: RenderOptions): string {
  const { icon, title } = stateWords(run);
  const parts = [
    `${icon} **${title}**${timing(run)}`,
    requestCode(run),
    run.retryCount > 0 ? WORDS.attempt(run.retryCount + 1) : '',
    since(run),
    usualMs === undefined || isFinished(run.state) ? '' : WORDS.usually(describeDuration(usualMs)),
    (detached || run.retryOf !== null) && /^\d{1,20}$/.test(run.userId) ? WORDS.askedBy(`<@${run.userId}>`) : '',
    throughDoor(run),
  ];
  return parts.filter((part) => part !== '').join(' · ');
}

function stateWords(run: ShownRun): (typeof STATE_WORDS)[RunState] {
  if (waitsForApproval(run)) {
    return WAITING_WORDS;
  }
  return isSuspended(run) ? SUSPENDED_WORDS : STATE_WORDS[run.state];
}

/** For a run that was not requested in Discord itself: the door and the API client. */
function throughDoor({ door, actor }: ShownRun): string {
  const name = door === 'discord' ? undefined : doorName(door);
  return name === undefined ? '' : WORDS.via(name, clientOf(actor));
}

/** The name of an API client as inline code; empty for other actors. */
function clientOf(actor: string): string {
  return actor.startsWith(API_CLIENT) ? inlineCode(actor.slice(API_CLIENT.length), MAX_STEP) : '';
}

/** How long a finished run took, from its start in the cluster if known. */
export function timing({ state, acceptedAt, startedAt, finishedAt }: ShownRun): string {
  if (finishedAt === null || !isFinished(state)) {
    return '';
  }
  const duration = describeDuration(finishedAt.getTime() - (startedAt ?? acceptedAt).getTime());
  return ` ${state === 'succeeded' ? WORDS.in(duration) : WORDS.after(duration)}`;
}

/** For a live run: a relative time of Discord, which counts up without an edit. */
function since({ state, acceptedAt, startedAt }: ShownRun): string {
  if (state === 'running') {
    return WORDS.started(relative(startedAt ?? acceptedAt));
  }
  return state === 'queued' || state === 'submitted' ? WORDS.requested(relative(acceptedAt)) : '';
}

function relative(moment: Date): string {
  return `<t:${Math.floor(moment.getTime() / 1000)}:R>`;
}

function details(run: ShownRun, { maxActive }: RenderOptions): string[] {
  switch (run.state) {
    case 'queued':
      return [run.reason === '' ? queueLine(run, maxActive) : WORDS.stillTrying(inlineCode(run.reason, MAX_REQUEST))];
    case 'submitted':
      return [notCanceled(run), run.step === '' ? '' : WORDS.argoSays(inlineCode(run.step, MAX_REQUEST))];
    case 'running':
      return [notCanceled(run), [progressBar(run.progress), stepName(run)].filter((part) => part !== '').join(' · ')];
    default:
      return outcome(run);
  }
}

/** Why a live run is not canceled yet. */
function notCanceled({ cancelRequested, reason }: ShownRun): string {
  return !cancelRequested || reason === '' ? '' : WORDS.stillCanceling(inlineCode(reason, MAX_REQUEST));
}

/** What came of a run that has ended. */
function outcome(run: ShownRun): string[] {
  switch (run.state) {
    case 'succeeded':
      return resultBlocks(textResults(run).map(({ name, value }) => namedValue(name, value)));
    case 'canceled':
      return [canceledBy(run.canceledBy), codeBlock(run.reason, REASON)];
    case 'skipped':
      return [WORDS.skipped];
    case 'lost':
      return [WORDS.lostOf];
    default:
      return [codeBlock(run.reason, REASON)];
  }
}

function canceledBy(actor: string): string {
  const client = clientOf(actor);
  if (client !== '') {
    return WORDS.canceledVia(doorName('api') ?? '', client);
  }
  return actor === '' ? '' : WORDS.canceledBy(actorText(actor, MAX_STEP));
}

/** Results in one block. If they do not fit, one block each with an equal share, so a long result cannot crowd out the others. */
function resultBlocks(results: readonly string[]): string[] {
  const { chars, lines } = RESULTS;
  const text = results.join('\n');
  if (text.length <= chars && text.split('\n').length <= lines) {
    return [codeBlock(text, RESULTS)];
  }
  const share = { chars: Math.floor(chars / results.length), lines: Math.floor(lines / results.length) };
  return results.map((result) => codeBlock(result, share));
}

function stepName({ step }: ShownRun): string {
  return step === '' ? '' : inlineCode(step, MAX_REQUEST);
}

/** The run that this one retries, and the run that retries it. */
function relatives({ retryOf, retriedBy }: ShownRun): string[] {
  const [earlier, later] = [retryOf, retriedBy].map((where) => (where === null ? undefined : messageUrl(where)));
  return [
    earlier === undefined ? '' : small(WORDS.retries(earlier)),
    later === undefined ? '' : small(WORDS.retriedBy(later)),
  ];
}

/** Results that are public links become buttons. */
function linkResults({ results }: Pick<ShownRun, 'results'>): readonly RunResult[] {
  return results.filter(({ value }) => publicUrl(value) !== undefined).slice(0, MAX_LINKS);
}

function textResults(run: Pick<ShownRun, 'results'>): readonly RunResult[] {
  const links = linkResults(run);
  return run.results.filter((result) => !links.includes(result));
}

const MAX_LINKS = 2;

function place({ state, namespace, workflowName }: ShownRun): string {
  if (endedWithoutWorkflow(state)) {
    return '';
  }
  return small(WORDS.where(inlineCode(workflowName, MAX_NAME), inlineCode(namespace, MAX_NAME)));
}

/** Discord's small text. */
function small(text: string): string {
  return `-# ${text}`;
}

const CELLS = 10;

/** Argo's `done/total` as a bar with numbers; undefined if it is empty. */
export function progressBar(progress: string): string {
  const match = /^(\d{1,9})\/(\d{1,9})$/.exec(progress);
  const total = Number(match?.[2]);
  const done = Math.min(Number(match?.[1]), total);
  if (match === null || total === 0) {
    return '';
  }
  // Full only when everything is done.
  const filled = done === total ? CELLS : Math.min(CELLS - 1, Math.round((done / total) * CELLS));
  return `${'▰'.repeat(filled)}${'▱'.repeat(CELLS - filled)} ${WORDS.steps(done, total)}`;
}

const ROW = 1;
const BUTTON = 2;
const BLUE = 1;
const GREY = 2;
const RED = 4;
const LINK = 5;
/** Discord's limit for a link. */
const MAX_URL = 512;

const CANCELABLE: ReadonlySet<RunState> = new Set(['queued', 'submitted', 'running']);
const RETRYABLE: ReadonlySet<RunState> = new Set(['failed', 'error', 'canceled', 'refused', 'lost']);
const WITH_LOGS: ReadonlySet<RunState> = new Set(['running', 'failed', 'error']);
/** The cluster has no workflow for the run, or keeps none. */
const WITHOUT_WORKFLOW: ReadonlySet<RunState> = new Set(['queued', 'refused', 'skipped', 'lost']);

type Components = MessageBody['components'];

/** One row with the actions that are possible now: at most five buttons, which is Discord's limit. */
function runButtons(run: ShownRun, { uiUrl }: Pick<RenderOptions, 'uiUrl'>): Components {
  const { state, cancelRequested } = run;
  const link = WITHOUT_WORKFLOW.has(state) ? undefined : linkTo(run, uiUrl);
  const buttons = [
    ...(CANCELABLE.has(state) ? [button(run, 'cancel', cancelRequested)] : []),
    ...(RETRYABLE.has(state) && run.retriedBy === null ? [button(run, 'retry')] : []),
    ...(state === 'succeeded' && run.retriedBy === null ? [button(run, 'again')] : []),
    ...(WITH_LOGS.has(state) ? [button(run, 'logs')] : []),
    button(run, 'request'),
    ...(state === 'succeeded' ? linkResults(run).map(resultButton) : []),
    ...(link === undefined ? [] : [{ type: BUTTON, style: LINK, label: WORDS.linkButton, url: link } as const]),
  ];
  return [{ type: ROW, components: buttons }];
}

const LOOKS = {
  cancel: { style: RED, label: WORDS.cancelButton },
  retry: { style: BLUE, label: WORDS.retryButton },
  again: { style: GREY, label: WORDS.againButton },
  logs: { style: GREY, label: WORDS.logsButton },
  request: { style: GREY, label: WORDS.requestButton },
} as const;

function button({ runId }: ShownRun, action: keyof typeof LOOKS, disabled = false) {
  const look = LOOKS[action];
  return {
    type: BUTTON,
    style: look.style,
    label: disabled ? WORDS.canceling : look.label,
    custom_id: buttonId(action, runId),
    disabled,
  } as const;
}

/** Discord refuses the whole message if a link has no public host, such as a bare host name in a cluster. */
function linkTo(run: ShownRun, uiUrl: string | undefined): string | undefined {
  return shownUrl(workflowUrl(uiUrl, run));
}

function shownUrl(url: URL | undefined): string | undefined {
  return url !== undefined && url.hostname.includes('.') && url.href.length <= MAX_URL ? url.href : undefined;
}

/** A value that consists only of the URL of a public page. */
function publicUrl(value: string): string | undefined {
  const url = /^https:\/\/\S+$/.test(value) ? URL.parse(value) : null;
  return url === null || url.username + url.password !== '' ? undefined : shownUrl(url);
}

const MAX_LABEL = 60;

/** `pull_request_url` is labeled "Pull request". */
function resultButton({ name, value }: RunResult) {
  const words = name
    .replaceAll(/[^A-Za-z0-9]+/g, ' ')
    .replace(/ ?url$/i, '')
    .trim()
    .slice(0, MAX_LABEL)
    .trim();
  return {
    type: BUTTON,
    style: LINK,
    label: words === '' ? WORDS.resultButton : words.charAt(0).toUpperCase() + words.slice(1),
    url: publicUrl(value) ?? value,
  } as const;
}
