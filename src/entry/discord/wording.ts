import type { Refusal } from '../../domain/refusal.ts';
import type { PressOutcome } from '../../dispatch/press.ts';
import type { StatusReport } from '../../dispatch/status.ts';
import type { RunView } from '../../ledger/find-runs.ts';
import { codeBlock, inlineCode } from '../../notify/safe-text.ts';
import { STATE_WORDS } from '../../notify/words.ts';

/**
 * Everything that people read at once when they ask for something in the chat; what they read about runs later is in
 * `src/notify/words.ts`. Text of others stands in code only, so it can format, link and mention nobody.
 */

/** All of it together stays below Discord's 2,000 characters. */
const MAX_NAME = 100;
const MAX_WORKFLOW = 255;
const DETAILS = { chars: 900, lines: 20 };
const REASON = { chars: 300, lines: 5 };
const LOG = { chars: 1300, lines: 20 };

export const SAY = {
  tryAgain: 'facteur cannot record anything right now, so nothing was started. Please try again in a moment.',
  tooSlow: 'facteur could not record this in time, so nothing was started. Please try again in a moment.',
  pressTooSlow:
    'That took too long to be sure of. The message above shows what the run does; press again if it is wrong.',
  broken:
    'Something went wrong inside facteur, and its operators can see it in the log. `/status` tells whether your request was recorded.',
  otherGuild: 'facteur works for another server, not for this one.',
  notKnown: 'facteur does not know what to do with this.',
  oldButton: 'This button belongs to nothing that facteur still knows.',
  oldForm: 'This form belongs to no command any more. Please run the command again.',
  unknownRun: 'facteur has no record of this run any more.',
} as const;

/** Why a command was refused, and what the person can do about it. */
export function refusalText(refusal: Refusal, command: string): string {
  const name = inlineCode(`/${command}`, MAX_NAME);
  const details = codeBlock((refusal.details ?? '').replaceAll('; ', '\n'), DETAILS);
  switch (refusal.kind) {
    case 'forbidden':
      return `You may not use ${name}: it takes a role that you do not have. Whoever runs this server can give it to you.`;
    case 'unknown_command':
      return `facteur knows no command ${name}. It may have been removed; its operators can bring Discord up to date with \`facteur commands sync\`.`;
    case 'invalid_option':
      return `${name} was not started, because something in it is not as it has to be:\n${details}`;
    case 'template_tag':
      return `${name} was not started: two curly braces side by side (\`{\u200b{\`) would be run by the workflow engine instead of being read. Put a space between them.\n${details}`;
    case 'too_large':
      return `${name} was not started: it is too long. Please shorten it, or put the long part somewhere and give its address.`;
    default:
      return `${name} was not started: ${refusal.message}.\n${details}`;
  }
}

/** What came could not be read, so it is not even known what it was for. */
export function unreadableText({ details = '' }: Refusal): string {
  return ['facteur could not read this, so nothing was started.', codeBlock(details, DETAILS)].join('\n').trim();
}

const TEMPLATE: Readonly<Record<StatusReport['template'], string>> = {
  ready: 'is ready.',
  missing: 'is currently unavailable: there is no such template in the cluster.',
  silent: 'is currently unavailable: the cluster does not answer. Requests are kept and run when it does.',
  unknown: 'cannot be looked at from here. Requests are kept and run.',
  disabled: 'is currently unavailable: the dispatcher is switched off, so requests are recorded and nothing is run.',
};

/** The answer to `/status`; ends with the last correlation when one is known. */
export function statusText({ namespace, workflowTemplate, template, last, correlationId }: StatusReport): string {
  const target = `Workflow template ${inlineCode(workflowTemplate, MAX_WORKFLOW)} in namespace ${inlineCode(namespace, MAX_NAME)}`;
  return [
    `${target} ${TEMPLATE[template]}`,
    last === undefined ? '' : lastText(last),
    correlationId === '' ? '' : `Last request correlation: ${inlineCode(correlationId, MAX_NAME)}.`,
  ]
    .filter((line) => line !== '')
    .join('\n');
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

/** The answer to a pressed button; nothing for a retry, whose answer is the new run's own message. */
export function pressText(outcome: PressOutcome): string {
  switch (outcome.kind) {
    case 'unknown':
      return SAY.unknownRun;
    case 'forbidden':
      return `You may not use ${inlineCode(`/${outcome.run.command}`, MAX_NAME)}, and its buttons are for those who may.`;
    case 'ending':
      return `${workflowOf(outcome.run)} is being ended. Its message will say when it is over.`;
    case 'over':
      return `${workflowOf(outcome.run)} is over already (${wordsOf(outcome.run)}), so there is nothing to cancel.`;
    case 'not_retryable':
      return outcome.run.state === 'succeeded'
        ? `${workflowOf(outcome.run)} has succeeded, so there is nothing to try again.`
        : `${workflowOf(outcome.run)} is still under way (${wordsOf(outcome.run)}); it can be tried again when it has ended.`;
    case 'retried':
      return '';
    case 'retried_before':
      return `Somebody had this tried again already, as workflow ${inlineCode(outcome.receipt.workflowName, MAX_WORKFLOW)}. To try once more, use the button under that run’s message.`;
    case 'logs':
      return logsText(outcome);
  }
}

const NO_LINES = {
  disabled: 'There is no cluster to ask for more.',
  gone: 'Its log is no longer there.',
  no_step: 'It does not say in which step it failed, so there is no log to show.',
  denied: 'The cluster does not let facteur read logs.',
  silent: 'The cluster does not answer, so there is no log to show now.',
} as const;

function logsText({ run, log }: Extract<PressOutcome, { kind: 'logs' }>): string {
  const reason = codeBlock(log.reason, REASON);
  const head = `${workflowOf(run)} ${reason === '' ? 'says nothing about why it failed.' : 'failed:'}`;
  const lines = codeBlock(log.lines, LOG);
  const rest = log.problem === undefined ? lines || 'Its log is empty.' : NO_LINES[log.problem];
  return [head, reason, rest].filter((part) => part !== '').join('\n');
}

function workflowOf(run: RunView): string {
  return `Workflow ${inlineCode(run.workflowName, MAX_WORKFLOW)}`;
}

function wordsOf(run: RunView): string {
  return STATE_WORDS[run.state].title.toLowerCase();
}
