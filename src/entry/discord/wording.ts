import type { Refusal } from '../../domain/refusal.ts';
import type { PressOutcome } from '../../dispatch/press.ts';
import type { StepLog } from '../../dispatch/step-log.ts';
import type { ListedRun, StatusReport } from '../../dispatch/status.ts';
import type { RunView } from '../../ledger/find-runs.ts';
import { codeBlock, inlineCode, namedValues, requestCode } from '../../presentation/safe-text.ts';
import { STATE_WORDS } from '../../presentation/words.ts';

/**
 * The immediate responses to requests in Discord; texts about runs are in `src/presentation/words.ts`. Untrusted text appears
 * only in code, so it cannot format, link or mention.
 */

/** The total stays below Discord's 2,000 characters. */
const MAX_NAME = 100;
const MAX_WORKFLOW = 255;
const DETAILS = { chars: 900, lines: 20 };
const REASON = { chars: 300, lines: 5 };
const LOG = { chars: 1300, lines: 20 };

export const SAY = {
  tryAgain: 'facteur cannot accept requests right now, so nothing was started. Please try again in a moment.',
  tooSlow: 'facteur could not record this in time, so nothing was started. Please try again in a moment.',
  pressTooSlow:
    'That took too long, so it may not have worked. The message above shows the state of the run; press again if needed.',
  broken:
    'Something went wrong inside facteur; its log has the details. `/status` shows whether your request was recorded.',
  otherGuild: 'facteur is not set up for this server.',
  notKnown: 'facteur does not support this.',
  oldButton: 'This button no longer works.',
  oldForm: 'This form has expired. Please run the command again.',
  unknownRun: 'facteur no longer has a record of this run.',
} as const;

/** Why a command was refused, and what the user can do about it. */
export function refusalText(refusal: Refusal, command: string): string {
  const name = inlineCode(`/${command}`, MAX_NAME);
  const details = codeBlock((refusal.details ?? '').replaceAll('; ', '\n'), DETAILS);
  switch (refusal.kind) {
    case 'forbidden':
      return `You may not use ${name}: it requires ${rolesText(refusal.roles)}. Ask the administrators of this server for it.`;
    case 'unknown_command':
      return `Unknown command ${name}. It may have been removed; an operator can update Discord with \`facteur commands sync\`.`;
    case 'invalid_option':
      return `${name} was not started, because of invalid input:\n${details}`;
    case 'command_changed':
      return `${name} has just changed, so nothing was started. Please try again.\n${details}`;
    case 'template_tag':
      return `${name} was not started: the workflow engine would evaluate two adjacent curly braces (\`{\u200b{\`), or half of such a tag at the beginning or end. Put a space between them.\n${details}`;
    case 'unprintable':
      return `${name} was not started: it contains a character that the workflow engine cannot read, such as a very new emoji. Please remove it.\n${details}`;
    case 'too_large':
      return `${name} was not started: it is too long. Please shorten it, or link to the long part instead.`;
    default:
      return `${name} was not started: ${refusal.message}.\n${details}`;
  }
}

const MAX_ROLES = 8;

/** Discord shows a role's name for its id; nobody is notified, because replies never mention. */
export function rolesText(roles: readonly string[]): string {
  const named = roles.filter((role) => /^\d{1,20}$/.test(role)).map((role) => `<@&${role}>`);
  if (named.length === 0) {
    return 'a role that you do not have';
  }
  const more = named.length > MAX_ROLES ? ` or ${named.length - MAX_ROLES} others` : '';
  return `${named.length === 1 ? 'the role' : 'one of the roles'} ${named.slice(0, MAX_ROLES).join(', ')}${more}`;
}

/** The request was unreadable, so its purpose is unknown. */
export function unreadableText({ details = '' }: Refusal): string {
  return ['facteur could not read this, so nothing was started.', codeBlock(details, DETAILS)].join('\n').trim();
}

const TEMPLATE: Readonly<Record<StatusReport['template'], string>> = {
  ready: 'is ready.',
  missing: 'is currently unavailable: the cluster has no such template.',
  silent: 'is currently unavailable: the cluster does not respond. Requests are queued and run when it does.',
  unknown: 'cannot be checked from here. Requests are queued and run.',
  disabled: 'is currently unavailable: the dispatcher is disabled, so requests are recorded but not run.',
};

/** The response to `/status`; ends with the last correlation id if one is known. */
export function statusText(report: StatusReport): string {
  const { namespace, workflowTemplate, template, last, correlationId } = report;
  const target = `Workflow template ${inlineCode(workflowTemplate, MAX_WORKFLOW)} in namespace ${inlineCode(namespace, MAX_NAME)}`;
  const head = `${target} ${TEMPLATE[template]}`;
  const end = correlationId === '' ? '' : `Last request correlation: ${inlineCode(correlationId, MAX_NAME)}.`;
  const above = last === undefined ? [head] : [head, lastText(last)];
  const room = MAX_STATUS - lengthOf([...above, end]);
  return [...above, ...runLines(report, room), end].filter((line) => line !== '').join('\n');
}

/** Below Discord's 2,000 characters. */
const MAX_STATUS = 1900;

function lengthOf(lines: readonly string[]): number {
  return lines.reduce((length, line) => length + line.length + 1, 0);
}

/**
 * The user's runs, if there are several, or one waits for approval: as many as fit, the live ones first.
 *
 * @param room for all lines together, in characters
 */
function runLines({ live, ended }: StatusReport, room: number): string[] {
  const oneWaits = live.some(({ waitsForApproval }) => waitsForApproval);
  if (live.length + ended.length < 2 && !oneWaits) {
    return [];
  }
  const shown = listed('Live:', live, room);
  return [...shown, ...listed('Ended:', ended, room - lengthOf(shown))];
}

/** A heading and the runs under it that fit; no heading without a run. */
function listed(heading: string, runs: readonly ListedRun[], room: number): string[] {
  const lines = [heading, ...runs.map(runLine)];
  const fitting = lines.filter((_line, at) => lengthOf(lines.slice(0, at + 1)) <= room);
  return fitting.length > 1 ? fitting : [];
}

const MAX_TITLE = 60;

function runLine({ command, title, state, progress, acceptedAt, waitsForApproval, url }: ListedRun): string {
  const { icon, title: word } = STATE_WORDS[state];
  const steps = state === 'running' && progress !== '' ? ` ${inlineCode(progress, 20)}` : '';
  const waits = waitsForApproval ? ', waiting for approval' : '';
  const when = `<t:${Math.floor(acceptedAt.getTime() / 1000)}:R>`;
  const link = url === undefined ? '' : ` · [message](${url})`;
  return `${icon} ${word}${steps}${waits} · ${requestCode({ command, title }, MAX_TITLE)} · ${when}${link}`;
}

function lastText({ command, workflowName, namespace, state, progress }: NonNullable<StatusReport['last']>): string {
  const what = command === '' ? 'Your last request' : `Your last request, ${inlineCode(`/${command}`, MAX_NAME)}`;
  const where = `workflow ${inlineCode(workflowName, MAX_WORKFLOW)} in namespace ${inlineCode(namespace, MAX_NAME)}`;
  if (state === undefined) {
    return `${what}: ${where}.`;
  }
  const { icon, title } = STATE_WORDS[state];
  const steps = progress === '' ? '' : ` (${inlineCode(progress, MAX_NAME)})`;
  return `${what}: ${icon} ${title}${steps}, ${where}.`;
}

/** The response to a press on a button. */
export function pressText(outcome: Exclude<PressOutcome, { readonly kind: 'retried' | 'confirm' }>): string {
  switch (outcome.kind) {
    case 'unknown':
      return SAY.unknownRun;
    case 'forbidden':
      return `You may not use ${inlineCode(`/${outcome.run.command}`, MAX_NAME)}, so you may not use its buttons either: it requires ${rolesText(outcome.roles)}.`;
    case 'ending':
      return `${workflowOf(outcome.run)} is being canceled. Its message will show when it has stopped.`;
    case 'over':
      return `${workflowOf(outcome.run)} has already ended (${wordsOf(outcome.run)}), so there is nothing to cancel.`;
    case 'not_retryable':
      return notRetryableText(outcome);
    case 'retried_before':
      return `This run was already retried as workflow ${inlineCode(outcome.receipt.workflowName, MAX_WORKFLOW)}. To retry again, use the button under that run’s message.`;
    case 'logs':
      return logsText(outcome);
    case 'request':
      return requestText(outcome);
  }
}

/** The question before a run is repeated. */
export function confirmText(run: RunView): string {
  const when = Math.floor((run.finishedAt ?? run.acceptedAt).getTime() / 1000);
  return `Run ${requestCode(run)} again? The last run ended <t:${when}:R> (${wordsOf(run)}).`;
}

function notRetryableText({ run, changed }: Extract<PressOutcome, { kind: 'not_retryable' }>): string {
  if (changed === true) {
    return `${inlineCode(`/${run.command}`, MAX_NAME)} has changed and no longer accepts this request. Please send it again.`;
  }
  return run.state === 'succeeded'
    ? `${workflowOf(run)} succeeded, so there is nothing to retry.`
    : `${workflowOf(run)} is still in progress (${wordsOf(run)}); you can retry it when it has ended.`;
}

const NO_LINES = {
  disabled: 'The dispatcher is disabled, so there is no log to show.',
  gone: 'Its log no longer exists.',
  no_step: 'No step has a log to show.',
  denied: 'facteur has no permission to read logs in the cluster.',
  silent: 'The cluster does not respond, so there is no log to show right now.',
} as const;

function headOf({ state }: RunView, { step = '', reason }: StepLog): string {
  if (state === 'running') {
    return step === '' ? 'is running.' : `is at the step ${inlineCode(step, MAX_NAME)}:`;
  }
  return reason === '' ? 'failed without giving a reason.' : 'failed:';
}

function logsText({ run, log }: Extract<PressOutcome, { kind: 'logs' }>): string {
  const reason = codeBlock(log.reason, REASON);
  const head = `${workflowOf(run)} ${headOf(run, log)}`;
  const lines = codeBlock(log.lines, LOG);
  const rest = log.problem === undefined ? lines || 'Its log is empty.' : NO_LINES[log.problem];
  return [head, reason, rest].filter((part) => part !== '').join('\n');
}

const REQUEST = { chars: 1500, lines: 40 };

function requestText({ run, parameters }: Extract<PressOutcome, { kind: 'request' }>): string {
  const name = inlineCode(`/${run.command}`, MAX_NAME);
  if (parameters === undefined) {
    return `${name}: the request was archived, so facteur cannot show it.`;
  }
  const values = Object.entries(parameters).map(([parameter, value]) => [parameter, String(value)] as const);
  return `${name} was requested with these parameters:\n${namedValues(values, REQUEST) || 'none'}`;
}

function workflowOf(run: RunView): string {
  return `Workflow ${inlineCode(run.workflowName, MAX_WORKFLOW)}`;
}

function wordsOf(run: RunView): string {
  return STATE_WORDS[run.state].title.toLowerCase();
}
