import { FacteurError } from '../base/errors.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import {
  approversOf,
  askingOf,
  objectionTo,
  outputsOf,
  type ApprovalField,
  type Asking,
  type Objection,
  type Verdict,
} from '../domain/approval-rules.ts';
import type { Principal } from '../domain/command.ts';
import type { RuleSource } from '../domain/command-rules.ts';
import { Refusal, type FieldFault } from '../domain/refusal.ts';
import { deciders, type Approval } from '../domain/approval.ts';
import { decideApproval, findApproval, findStarters, type ApprovalId, type Decision } from '../ledger/approvals.ts';
import type { Announcements } from '../ledger/due-work.ts';
import { recordRefusal } from '../ledger/unprocessed.ts';

/** A press on an approval's button, or a submission of the form that it opened. */
export interface ApprovalPress {
  readonly verdict: Verdict;
  readonly runId: string;
  readonly key: string;
  readonly interactionId: string;
  readonly principal: Principal;
  /** The contents of the form; undefined for a press. */
  readonly given: FilledIn | undefined;
}

export interface FilledIn {
  /** In the order of the fields; undefined for fields that are not in the form. */
  readonly outputs: readonly (string | undefined)[];
  readonly reason: string;
}

/**
 * The result of the press.
 *
 * unknown   no such approval
 * objection the user may not decide; this is recorded
 * form      more input is needed: outputs of an approval, or the reason of a rejection
 * too_many  there are more outputs than a form can have
 * invalid   the form's values are invalid
 * voted     recorded; more people must approve
 * decided   recorded; it is being applied
 * over      it was already decided, or no longer waits
 */
export type ApprovalOutcome =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'objection'; readonly objection: Objection; readonly approval: Approval }
  | {
      readonly kind: 'form';
      readonly approval: Approval;
      readonly verdict: Verdict;
      readonly fields: readonly ApprovalField[];
      readonly askReason: 'required' | 'optional' | 'none';
    }
  | { readonly kind: 'too_many'; readonly approval: Approval }
  | { readonly kind: 'invalid'; readonly faults: readonly FieldFault[] }
  | { readonly kind: 'voted' | 'decided' | 'over'; readonly verdict: Verdict; readonly approval: Approval };

/** Dependencies for recording a decision. */
export interface RecordDeps {
  readonly db: Queryable;
  readonly wakes: Pick<Announcements, 'messagesDue' | 'approvalsDue'>;
}

export interface DecideDeps extends RecordDeps, RuleSource {}

const MAX_REASON = 500;

/**
 * Decides an approval for a person, by their current roles. The decision is durable when this resolves; a worker applies it.
 *
 * @throws FacteurError `commands.unread` while it is unknown who may decide
 * @throws DatabaseError if the ledger does not answer
 */
export async function pressApproval(press: ApprovalPress, deps: DecideDeps): Promise<ApprovalOutcome> {
  const { verdict } = press;
  const approval = await findApproval(deps.db, press.runId, press.key);
  if (approval?.kind !== 'node') {
    return { kind: 'unknown' };
  }
  const objection = await objectionAgainst(press, approval, deps);
  if (objection !== undefined) {
    return { kind: 'objection', objection, approval };
  }
  if (approval.state !== 'waiting' || approval.runState !== 'running') {
    return { kind: 'over', verdict, approval };
  }
  const wanted = verdict === 'approved' ? approvalOf(press, approval) : rejectionOf(press, approval);
  return 'kind' in wanted ? wanted : record(press, wanted, { approval, deps });
}

async function record(
  press: ApprovalPress,
  wanted: Pick<Decision, 'outputs' | 'reason'>,
  { approval, deps }: { readonly approval: Approval; readonly deps: DecideDeps },
): Promise<ApprovalOutcome> {
  const { runId, key, verdict } = press;
  const recorded = await recordDecision({ runId, key, verdict, actor: actorOf(press), alone: false, ...wanted }, deps);
  const after = (await findApproval(deps.db, runId, key)) ?? approval;
  if (recorded === undefined && after.state === 'waiting' && !Object.hasOwn(after.votes, press.principal.userId)) {
    // Meanwhile somebody approved with other outputs, to which this person has not agreed.
    return pressApproval(press, deps);
  }
  const other = recorded === 'deciding' ? 'decided' : 'over';
  return { kind: after.state === 'waiting' ? 'voted' : other, verdict, approval: after };
}

function actorOf({ principal: { userId, username } }: ApprovalPress): Decision['actor'] {
  return { id: userId, name: username || userId };
}

/** For operators, who read refusals. */
const REASONS: Readonly<Record<Objection, string>> = {
  bot: 'is an application',
  nobody: 'no approvers are named, and the command requires no role',
  not_listed: 'is not among the approvers',
  starter: 'requested this run, or one that it retries',
  invalid_rules: 'the annotations of the template are invalid',
};

/** Why this person may not decide, after recording it; undefined if they may. */
async function objectionAgainst(
  press: ApprovalPress,
  approval: Approval,
  deps: DecideDeps,
): Promise<Objection | undefined> {
  const { rules, command, node } = approval;
  const approvers = approversOf(rules, command, deps.rules());
  const starters = await findStarters(deps.db, press.runId);
  const objection = objectionTo(press.principal, { rules, approvers, starters });
  if (objection !== undefined) {
    const refused = {
      door: 'discord',
      deliveryId: press.interactionId,
      name: command,
      principal: press.principal,
    } as const;
    await recordRefusal(deps.db, refused, `may not decide ${node}: ${REASONS[objection]}`);
  }
  return objection;
}

/** An operator's decision, whoever the rules name as approvers. */
export interface OperatorDecision extends ApprovalId {
  readonly verdict: Verdict;
  /** The outputs of an approval. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly reason: string;
}

/**
 * Decides an approval for an operator, without further approvals. It is durable when this resolves.
 *
 * @param by the name to record
 * @throws FacteurError `approval.unknown`; `approval.settled`, which says by whom and when
 * @throws Refusal `invalid_option`, with the invalid outputs
 */
export async function decideAsOperator(
  { runId, key, verdict, outputs: given, reason }: OperatorDecision,
  by: string,
  deps: RecordDeps,
): Promise<Approval> {
  const before = await findNode(deps.db, { runId, key });
  if (before.state !== 'waiting' || before.runState !== 'running') {
    throw settled(before);
  }
  const { values: outputs, faults } = operatorOutputs(before, verdict, given);
  if (faults.length > 0) {
    const details = faults.map(({ field, message }) => `${field}: ${message}`).join('; ');
    throw new Refusal('invalid_option', details, { faults });
  }
  const actor = { id: 'operator', name: by };
  const recorded = await recordDecision({ runId, key, verdict, actor, alone: true, reason, outputs }, deps);
  const after = await findNode(deps.db, { runId, key });
  if (recorded === undefined) {
    throw settled(after);
  }
  return after;
}

async function findNode(db: Queryable, { runId, key }: ApprovalId): Promise<Approval> {
  const approval = await findApproval(db, runId, key);
  if (approval?.kind !== 'node') {
    throw new FacteurError('approval.unknown', 'no such approval', { retryable: false });
  }
  return approval;
}

function settled(approval: Approval): FacteurError {
  const { node, verdict, decidedAt, problem, runState } = approval;
  const by = deciders(approval).join(', ');
  const decided = `was already ${verdict} by ${by}${decidedAt === null ? '' : ` at ${decidedAt.toISOString()}`}`;
  const over = `no longer waits: ${problem === '' ? `the run is ${runState}` : problem}`;
  return new FacteurError('approval.settled', `${node} ${verdict === null ? over : decided}`, { retryable: false });
}

/** The outputs of an operator's decision: the given values, or else those of the first approver. */
export function operatorOutputs(approval: Approval, verdict: Verdict, given: Outputs): ReturnType<typeof outputsOf> {
  const fields = fieldsNow(approval);
  const preset = presetOf(askingOf(fields), verdict);
  return verdict === 'approved' ? outputsOf(fields, { ...preset, ...given }) : { values: preset, faults: [] };
}

/** The fields, with the first approver's values as presets. */
function fieldsNow({ fields, votes, outputs }: Approval): readonly ApprovalField[] {
  const first = new Map(Object.keys(votes).length > 0 ? Object.entries(outputs) : []);
  return fields.map((field) => ({ ...field, preset: first.get(field.name) ?? field.preset }));
}

/** Records a decision and wakes the worker that applies it. @returns undefined if it no longer waits */
async function recordDecision(
  decision: Decision,
  { db, wakes }: RecordDeps,
): Promise<'waiting' | 'deciding' | undefined> {
  const decided = await decideApproval(db, { ...decision, reason: shorten(decision.reason) });
  if (decided !== undefined) {
    void wakes.approvalsDue();
  }
  if (decided?.messageChanged === true) {
    void wakes.messagesDue();
  }
  return decided?.state;
}

type Wanted =
  | Pick<Decision, 'outputs' | 'reason'>
  | Extract<ApprovalOutcome, { kind: 'form' | 'too_many' | 'invalid' }>;

/** The outputs of the first approver count. The others see them, and can only approve those. */
function approvalOf({ given, principal }: ApprovalPress, approval: Approval): Wanted {
  const { votes } = approval;
  const first = Object.keys(votes).length > 0 ? approval.outputs : undefined;
  const fields = fieldsNow(approval);
  const asking = askingOf(fields);
  if (asking.kind === 'form' && given === undefined && !Object.hasOwn(votes, principal.userId)) {
    return { kind: 'form', approval, verdict: 'approved', fields: asking.fields, askReason: 'none' };
  }
  if (asking.kind === 'too_many') {
    return { kind: 'too_many', approval };
  }
  const filled = fields.flatMap(({ name }, index) => {
    const value = given?.outputs[index];
    return value === undefined ? [] : [[name, value] as const];
  });
  const { values, faults } = outputsOf(fields, { ...presetOf(asking, 'approved'), ...Object.fromEntries(filled) });
  const all = [...faults, ...(first === undefined ? [] : differencesOf(values, first))];
  return all.length > 0 ? { kind: 'invalid', faults: all } : { outputs: values, reason: '' };
}

type Outputs = Decision['outputs'];

function differencesOf(values: Outputs, first: Outputs): readonly FieldFault[] {
  return Object.keys(values)
    .filter((name) => values[name] !== first[name])
    .map((field) => ({ field, message: 'has another value in an earlier approval: press Approve again to see it' }));
}

function rejectionOf({ given }: ApprovalPress, approval: Approval): Wanted {
  const askReason = approval.rules.reason;
  if (askReason !== 'none' && given === undefined) {
    return { kind: 'form', approval, verdict: 'rejected', fields: [], askReason };
  }
  const reason = given?.reason.trim() ?? '';
  if (askReason === 'required' && reason === '') {
    return { kind: 'invalid', faults: [{ field: 'reason', message: 'is required' }] };
  }
  return { outputs: presetOf(askingOf(approval.fields), 'rejected'), reason };
}

/** The value that a button sets if the approval has two buttons for one output. */
function presetOf(asking: Asking, verdict: Verdict): Readonly<Record<string, string>> {
  return asking.kind === 'pair' ? { [asking.field]: verdict === 'approved' ? asking.yes : asking.no } : {};
}

/** A single line: it becomes the message of a step. */
function shorten(reason: string): string {
  return reason
    .toWellFormed()
    .replaceAll(/[\s\p{Cc}]+/gu, ' ')
    .slice(0, MAX_REASON)
    .toWellFormed();
}
