import type { Command } from 'commander';
import type { Clock } from '../base/clock.ts';
import { FacteurError } from '../base/errors.ts';
import { operatorOutputs } from '../dispatch/decide.ts';
import type { Verdict } from '../domain/approval-rules.ts';
import type { Approval, ApprovalState } from '../domain/approval.ts';
import { describeAge } from '../presentation/duration.ts';
import { listText, type Column } from './columns.ts';
import type { CliIo } from './io.ts';
import { pairsOption, positive } from './option-pairs.ts';
import { listOutput, oneOutput, withListOutput, withOutput, type OutputOptions } from './output.ts';
import { UsageError, type RegisterCommand } from './program.ts';
import { REFERENCE, requireRun } from './require-run.ts';
import type { RunStore } from './run-store.ts';
import { shortId, utc } from './run-text.ts';
import { screenOf, type Colour } from './screen.ts';
import { withStoreOptions, type StoreOptions, type WithStore } from './store-access.ts';
import { printable, table } from './table.ts';

type Options = OutputOptions & StoreOptions;
type ListOptions = Options & { readonly all?: boolean; readonly limit: number };
type DecideOptions = Options & {
  readonly set?: Readonly<Record<string, string>>;
  readonly reason?: string;
  readonly by?: string;
};

const FIELDS = ['runId', 'node', 'state', 'command', 'workflowName', 'requestedAt', 'expiresAt', 'decidedBy'] as const;
const STEP = 'name of the step, if several are waiting';
const WAITING = ['waiting'] as const;
/** More approvals than a workflow has. */
const MAX_OF_RUN = 500;

/** `facteur approvals list|show|approve|reject`: the approvals that workflows wait for, and an operator's decision. */
export function approvalsCommand(withStore: WithStore, clock: Clock): RegisterCommand {
  return (program, io) => {
    const approvals = program
      .command('approvals')
      .description('list, show, approve or reject workflow steps that are waiting for approval');
    registerList(approvals, io, { withStore, clock });
    registerShow(approvals, io, withStore);
    registerDecide(approvals, io, { withStore, verdict: 'approved' });
    registerDecide(approvals, io, { withStore, verdict: 'rejected' });
  };
}

function registerList(
  approvals: Command,
  io: CliIo,
  { withStore, clock }: { readonly withStore: WithStore; readonly clock: Clock },
): void {
  withListOutput(withStoreOptions(approvals.command('list')), FIELDS)
    .description('list waiting approvals, oldest first')
    .option('--all', 'also those that were decided')
    .option('--limit <n>', 'maximum number to show', positive('--limit'), 50)
    .addHelpText('after', '\nExamples:\n  facteur approvals list\n  facteur approvals list --all -o yaml')
    .action((options: ListOptions) =>
      withStore(io, { options }, async (store) => {
        const { all, limit } = options;
        const found = await store.listApprovals({ states: all === true ? undefined : WAITING, limit });
        const none = all === true ? 'no approvals' : 'nothing waits for approval';
        const text = listText(screenOf(io), columnsFor(clock.now()), none);
        io.stdout.write(listOutput(found, options, { name: ({ runId }) => runId, text }));
      }),
    );
}

function registerShow(approvals: Command, io: CliIo, withStore: WithStore): void {
  withOutput(withStoreOptions(approvals.command('show')))
    .argument('<run>', REFERENCE)
    .argument('[step]', STEP)
    .description('show an approval: what it asks, who may decide, and what was decided')
    .addHelpText('after', '\nExamples:\n  facteur approvals show 0b5e7d3c')
    .action((reference: string, node: string | undefined, options: Options) =>
      withStore(io, { options }, async (store) => {
        const approval = await requireApproval(store, { reference, node, all: true });
        const shape = { name: ({ runId }: Approval) => runId, text: () => details(approval) };
        io.stdout.write(oneOutput(approval, options, shape));
      }),
    );
}

function registerDecide(
  approvals: Command,
  io: CliIo,
  { withStore, verdict }: { readonly withStore: WithStore; readonly verdict: Verdict },
): void {
  const verb = verdict === 'approved' ? 'approve' : 'reject';
  const command = withOutput(withStoreOptions(approvals.command(verb)))
    .argument('<run>', REFERENCE)
    .argument('[step]', STEP)
    .description(`${verb} a step as an operator, even if its template names other approvers`)
    .option('--by <name>', 'name recorded as the person who decides (default: an operator)')
    .option('--reason <text>', 'recorded with the decision');
  const example = verdict === 'approved' ? ' --set version=v1.2' : ' --reason "not on a Friday"';
  const withValues =
    verdict === 'approved' ? command.addOption(pairsOption('--set', 'an output that the step supplies')) : command;
  withValues
    .addHelpText(
      'after',
      `\nExamples:\n  facteur approvals ${verb} 0b5e7d3c\n  facteur approvals ${verb} 0b5e7d3c approve${example}`,
    )
    .action((reference: string, node: string | undefined, options: DecideOptions) =>
      withStore(io, { options }, async (store) => {
        const approval = await requireApproval(store, { reference, node, all: false });
        const { set: outputs = {}, reason = '', by } = options;
        checkValues(approval, verdict, outputs);
        await store.decideApproval({ runId: approval.runId, key: approval.key, verdict, outputs, reason }, by);
        const line = `step ${printable(approval.node)} of run ${approval.runId} is ${verdict}\n`;
        const result = { runId: approval.runId, node: approval.node, verdict };
        io.stdout.write(oneOutput(result, options, { name: ({ runId }) => runId, text: () => line }));
      }),
    );
}

/** The one matching approval. @throws UsageError if several match; FacteurError `approval.unknown` if none does */
async function requireApproval(
  store: RunStore,
  { reference, node, all }: { readonly reference: string; readonly node: string | undefined; readonly all: boolean },
): Promise<Approval> {
  const { runId } = await requireRun(store, reference);
  const found = await store.listApprovals({ runId, states: all ? undefined : WAITING, limit: MAX_OF_RUN });
  const meant = found.filter((one) => node === undefined || one.node === node);
  const [approval] = meant;
  if (approval === undefined) {
    const [step, others] = found.length === 0 ? ['step', ''] : [`step ${node}`, `; name one of: ${nodesOf(found)}`];
    const tense = all ? 'waited' : 'is waiting';
    const message = `no ${step} of run ${shortId(runId)} ${tense} for approval${others}`;
    throw new FacteurError('approval.unknown', message, { retryable: false });
  }
  if (meant.length > 1) {
    throw new UsageError(`name the step: ${nodesOf(meant)}`);
  }
  return approval;
}

function nodesOf(approvals: readonly Approval[]): string {
  return approvals.map(({ node }) => printable(node)).join(', ');
}

/** @throws UsageError if the values do not match the approval's outputs */
function checkValues(approval: Approval, verdict: Verdict, outputs: Readonly<Record<string, string>>): void {
  const { faults } = operatorOutputs(approval, verdict, outputs);
  if (faults.length > 0) {
    throw new UsageError(`--set: ${faults.map(({ field, message }) => `${field} ${message}`).join('; ')}`);
  }
}

const COLOURS: Readonly<Record<ApprovalState, Colour | undefined>> = {
  waiting: 'yellow',
  deciding: 'blue',
  approved: 'green',
  rejected: 'red',
  gone: 'grey',
};

function columnsFor(now: Date): readonly Column<Approval>[] {
  return [
    { heading: 'RUN', text: ({ runId }) => shortId(runId) },
    { heading: 'STEP', text: ({ node }) => node, flexible: true },
    { heading: 'COMMAND', text: ({ command }) => command },
    { heading: 'STATE', text: stateText, colour: ({ state }) => COLOURS[state] },
    { heading: 'AGE', text: ({ requestedAt }) => describeAge(now.getTime() - requestedAt.getTime()) },
    { heading: 'EXPIRES', text: (approval) => expiryText(approval, now) },
    { heading: 'ASKS', text: ({ rules }) => rules.message, flexible: true },
    { heading: 'DECIDED BY', text: ({ decidedBy }) => decidedBy, when: 'roomy' },
    { heading: 'WORKFLOW', text: ({ workflowName }) => workflowName, when: 'wide' },
    { heading: 'NAMESPACE', text: ({ namespace }) => namespace, when: 'wide' },
    { heading: 'RUN ID', text: ({ runId }) => runId, when: 'wide' },
  ];
}

/** `waiting 1/2`: how many of a quorum have approved. */
function stateText({ state, rules, votes }: Approval): string {
  return state === 'waiting' && rules.quorum > 1 ? `${state} ${Object.keys(votes).length}/${rules.quorum}` : state;
}

/** `in 55 min`; empty once it is decided. */
function expiryText({ state, expiresAt }: Approval, now: Date): string {
  return state !== 'waiting' || expiresAt === null ? '' : `in ${describeAge(expiresAt.getTime() - now.getTime())}`;
}

function details(approval: Approval): string {
  const { rules, votes, fields } = approval;
  const lines: readonly (readonly [string, string])[] = [
    ['run', approval.runId],
    ['workflow', `${approval.workflowName} in ${approval.namespace}`],
    ['state', stateText(approval)],
    ['asks', rules.message],
    [
      'needs',
      fields
        .map(({ name, choices }) => (choices === null ? name : `${name} (one of ${choices.join(', ')})`))
        .join('; '),
    ],
    ['approvers', rules.approvers.join(', ') || `roles that may run /${approval.command}`],
    ['quorum', String(rules.quorum)],
    [
      'approved by',
      Object.values(votes)
        .map(({ name }) => name)
        .join(', '),
    ],
    ['since', utc(approval.requestedAt)],
    ['expires', approval.expiresAt === null ? '' : `${utc(approval.expiresAt)}${AFTERWARDS[rules.onTimeout]}`],
    ['decided by', approval.decidedBy],
    ['reason', approval.reason],
    ['problem', approval.problem || rules.problem],
  ];
  return table(
    ['APPROVAL', approval.node],
    lines.filter(([, value]) => value !== ''),
  );
}

/** What happens if nobody decides before an approval expires. */
const AFTERWARDS = {
  reject: ', then it is rejected',
  approve: ', then it is approved',
  leave: ', with no effect',
} as const;
