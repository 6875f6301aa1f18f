import type { ApprovalOutcome } from '../../dispatch/decide.ts';
import type { Objection } from '../../domain/approval-rules.ts';
import { deciders, TIMEOUT_ACTOR, type Approval } from '../../domain/approval.ts';
import { codeBlock, inlineCode, inlineNames } from '../../presentation/safe-text.ts';
import { SAY } from './wording.ts';

const MAX_NAME = 100;
const DETAILS = { chars: 900, lines: 20 };

const OBJECTIONS: Readonly<Record<Objection, string>> = {
  bot: 'Applications cannot decide approvals.',
  nobody:
    'Nobody can decide this here: neither the template nor its command names a person, or a role that anybody can have. An operator can use `facteur approvals`.',
  not_listed: 'You may not decide this: it requires a role that you do not have.',
  starter: 'You requested this run, or one that it retries, so somebody else has to decide.',
  invalid_rules: 'Nobody can decide this here: the annotations of its template are invalid.',
};

/** The response to a press on an approval's button, except for a form. */
export function approvalText(outcome: Exclude<ApprovalOutcome, { kind: 'form' }>): string {
  switch (outcome.kind) {
    case 'unknown':
      return SAY.oldButton;
    case 'objection': {
      const { problem } = outcome.approval.rules;
      return [OBJECTIONS[outcome.objection], codeBlock(problem, DETAILS)].join('\n').trim();
    }
    case 'too_many':
      return `${stepOf(outcome.approval)} asks for more values than a form in Discord can have. Use \`facteur approvals approve\`, or Argo.`;
    case 'invalid':
      return `Nothing was decided, because of invalid input:\n${codeBlock(
        outcome.faults.map(({ field, message }) => `${field} ${message}`).join('\n'),
        DETAILS,
      )}`;
    case 'voted':
      return votedText(outcome.approval);
    case 'decided':
      return `${stepOf(outcome.approval)} is ${outcome.verdict}. facteur is writing it into the workflow.`;
    case 'over':
      return overText(outcome.approval);
  }
}

function votedText(approval: Approval): string {
  const missing = approval.rules.quorum - Object.keys(approval.votes).length;
  return `You approved step ${inlineCode(approval.node, MAX_NAME)}. ${missing === 1 ? 'One more person has' : `${missing} more people have`} to approve it.`;
}

function overText(approval: Approval): string {
  const { verdict, decidedBy, decidedAt, problem } = approval;
  if (verdict === null || decidedAt === null) {
    return `${stepOf(approval)} no longer waits: ${problem || 'the workflow has ended'}.`;
  }
  if (decidedBy === TIMEOUT_ACTOR) {
    return `${stepOf(approval)} was already ${verdict} automatically, because nobody decided in time.`;
  }
  const when = `<t:${Math.floor(decidedAt.getTime() / 1000)}:R>`;
  return `${stepOf(approval)} was already ${verdict} by ${inlineNames(deciders(approval), MAX_NAME)} ${when}.`;
}

function stepOf({ node }: Approval): string {
  return `Step ${inlineCode(node, MAX_NAME)}`;
}
