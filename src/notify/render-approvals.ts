import type { MessageBody } from '../clients/discord/message.ts';
import { CANCELED, deciders, TIMEOUT_ACTOR, voters } from '../domain/approval.ts';
import { askingOf } from '../domain/approval-rules.ts';
import type { ShownApproval } from '../ledger/messages.ts';
import { approvalButtonId } from '../presentation/button-id.ts';
import { inlineCode, inlineNames } from '../presentation/safe-text.ts';
import { APPROVAL_WORDS } from '../presentation/words.ts';
import type { ShownRun } from './shown-run.ts';

/** Limits for untrusted text, in characters. */
const MAX_NODE = 50;
const MAX_MESSAGE = 160;
const MAX_NAME = 50;
/** Discord has five rows of buttons, and the run's own take one. */
const MAX_ASKED = 4;
const MAX_DECIDED = 3;

const ROW = 1;
const BUTTON = 2;
const GREEN = 3;
const RED = 4;

/**
 * The open approvals, the decisions, and whether some cannot be seen, one line each. If the lines are too long, the templates'
 * descriptions and the voters' names are omitted first, then the first lines; open approvals come last.
 *
 * @param room for all lines together, in characters
 */
export function approvalLines(run: ShownRun, room: number): string[] {
  const whole = linesOf(run, 'full');
  return textLength(whole) <= room ? whole : cutTo(linesOf(run, 'brief'), room);
}

/** The number of characters that lines take in a message. */
export function textLength(lines: readonly string[]): number {
  return lines.reduce((length, line) => length + line.length + 1, 0);
}

function cutTo(lines: readonly string[], room: number): string[] {
  return lines.filter((_, index) => textLength(lines.slice(index)) <= room);
}

type Detail = 'full' | 'brief';

function linesOf(run: ShownRun, detail: Detail): string[] {
  const asked = openOf(run, 'node');
  const decided = run.approvals.filter(({ verdict, kind }) => verdict !== null && kind === 'node');
  return [
    ...(isSuspended(run) ? [APPROVAL_WORDS.suspended] : []),
    ...(openOf(run, 'offloaded').length > 0 ? [APPROVAL_WORDS.offloaded] : []),
    ...decided.slice(-MAX_DECIDED).map(decisionLine),
    ...asked.slice(0, MAX_ASKED).map((approval) => askedLine(approval, detail)),
    ...(asked.length > MAX_ASKED ? [APPROVAL_WORDS.more(asked.length - MAX_ASKED)] : []),
  ];
}

/** Whether somebody can decide what the run waits for. */
export function waitsForApproval(run: ShownRun): boolean {
  return openOf(run, 'node').length > 0;
}

/** Whether the whole workflow is suspended. */
export function isSuspended(run: ShownRun): boolean {
  return openOf(run, 'suspended').length > 0;
}

/**
 * The state as shown in a message. It includes the keys of open approvals: a person must act on each, so a new one counts as a
 * change of state.
 */
export function shownState(run: Pick<ShownRun, 'state' | 'approvals'>): string {
  const keys = openOf(run, 'node').map(({ key }) => key);
  const more = keys.length > MAX_ASKED ? [String(keys.length)] : [];
  return [run.state, ...keys.slice(0, MAX_ASKED), ...more].join(' ');
}

/** Two buttons for each open approval that can be decided. They name the step if the message shows several. */
export function approvalButtons(run: ShownRun): MessageBody['components'] {
  const open = openOf(run, 'node');
  const asked = open.filter(({ rules }) => rules.problem === '');
  const name = (node: string): string => (open.length > 1 ? ` ${node.slice(0, MAX_NODE).toWellFormed()}` : '');
  return asked.slice(0, MAX_ASKED).map(({ key, node }) => decisionButtons(run.runId, key, name(node)));
}

/** @param suffix distinguishes the buttons of several approvals */
export function decisionButtons(runId: string, key: string, suffix: string): MessageBody['components'][number] {
  const [approve, reject] = [approvalButtonId('approve', runId, key), approvalButtonId('reject', runId, key)];
  return {
    type: ROW,
    components: [
      { type: BUTTON, style: GREEN, label: `${APPROVAL_WORDS.approveButton}${suffix}`, custom_id: approve },
      { type: BUTTON, style: RED, label: `${APPROVAL_WORDS.rejectButton}${suffix}`, custom_id: reject },
    ],
  };
}

/** Only a running workflow waits, even if approvals were left open. */
function openOf(
  { state: runState, approvals }: Pick<ShownRun, 'state' | 'approvals'>,
  wanted: ShownApproval['kind'],
): ShownApproval[] {
  return runState === 'running' ? approvals.filter(({ kind, state }) => kind === wanted && state === 'waiting') : [];
}

function askedLine(approval: ShownApproval, detail: Detail): string {
  const { node, rules, expiresAt, fields } = approval;
  const until = expiresAt === null ? '' : APPROVAL_WORDS.until(`<t:${Math.floor(Date.parse(expiresAt) / 1000)}:R>`);
  const parts = [
    APPROVAL_WORDS.waits(inlineCode(node, MAX_NODE)),
    rules.message === '' || detail === 'brief' ? '' : inlineCode(rules.message, MAX_MESSAGE),
    until,
    votesText(approval, detail),
    askingOf(fields).kind === 'too_many' ? APPROVAL_WORDS.tooMany : '',
    rules.problem === '' ? '' : APPROVAL_WORDS.invalid,
  ];
  return parts.filter((part) => part !== '').join(' · ');
}

/** How many people approved, and who; empty before the first vote if one suffices. */
function votesText({ rules, votes }: ShownApproval, detail: Detail): string {
  const count = Object.keys(votes).length;
  if (detail === 'brief') {
    return rules.quorum > 1 ? APPROVAL_WORDS.votes(count, rules.quorum, '') : '';
  }
  if (rules.quorum > 1) {
    return APPROVAL_WORDS.votes(count, rules.quorum, inlineNames(voters(votes), MAX_NAME));
  }
  return count === 0 ? '' : APPROVAL_WORDS.approvedBy(inlineNames(voters(votes), MAX_NAME));
}

type Decided = Pick<ShownApproval, 'node' | 'verdict' | 'decidedBy' | 'votes' | 'state' | 'problem'>;

/** The outcome of an approval. */
export function decisionLine(approval: Decided): string {
  const { node, verdict, decidedBy, state, problem } = approval;
  if (verdict === null) {
    return APPROVAL_WORDS.over(inlineCode(node, MAX_NODE), inlineCode(problem, MAX_MESSAGE));
  }
  const words =
    decidedBy === TIMEOUT_ACTOR
      ? APPROVAL_WORDS.timedOut(inlineCode(node, MAX_NODE), verdict)
      : APPROVAL_WORDS.decided(inlineCode(node, MAX_NODE), verdict, inlineNames(deciders(approval), MAX_NAME));
  if (state === 'gone') {
    return `${words} · ${APPROVAL_WORDS.notApplied(inlineCode(problem, MAX_MESSAGE))}`;
  }
  if (state === 'deciding' && problem !== '') {
    const why = inlineCode(problem, MAX_MESSAGE);
    return `${words} · ${problem === CANCELED ? APPROVAL_WORDS.inDoubt : APPROVAL_WORDS.applying(why)}`;
  }
  return words;
}
