import type { Command } from 'commander';
import { FacteurError } from '../../base/errors.ts';
import type { Queryable } from '../../clients/postgres/database.ts';
import { RUN_STATES, type RunState } from '../../domain/run-state.ts';
import { findRun, listRunEvents, listRuns, type RunEvent, type RunView } from '../../ledger/find-runs.ts';
import type { CliIo } from './io.ts';
import type { WithLedger } from './ledger-access.ts';
import { UsageError, type RegisterCommand } from './program.ts';
import { withConfigOption } from './serve.ts';
import { printable, table } from './table.ts';

interface CommonOptions {
  readonly config?: string;
  readonly json?: boolean;
}

interface ListOptions extends CommonOptions {
  readonly state?: string;
  readonly command?: string;
  readonly user?: string;
  readonly limit: string;
  readonly before?: string;
}

const REFERENCE = 'run id, delivery id or workflow name';

/** `facteur runs list|show|cancel|retry`: the ledger from a terminal. */
export function runsCommand(withLedger: WithLedger): RegisterCommand {
  return (program, io) => {
    const runs = program.command('runs').description('look at runs, end them, try them again');
    registerList(runs, io, withLedger);
    registerShow(runs, io, withLedger);
    registerCancel(runs, io, withLedger);
    registerRetry(runs, io, withLedger);
  };
}

function registerList(runs: Command, io: CliIo, withLedger: WithLedger): void {
  withConfigOption(runs.command('list'))
    .description('list runs, newest first')
    .option('--state <states>', `only these states, separated by commas (${RUN_STATES.join(', ')})`)
    .option('--command <name>', 'only this command')
    .option('--user <id>', 'only runs of this user')
    .option('--limit <n>', 'how many', '20')
    .option('--before <run>', `go on after this run of the page before (${REFERENCE})`)
    .option('--json', 'one JSON object a line')
    .action((options: ListOptions) =>
      withLedger(io, { configPath: options.config }, async ({ db }) => {
        const found = await listRuns(db, {
          limit: positive(options.limit, '--limit'),
          ...(options.state === undefined ? {} : { states: states(options.state) }),
          ...(options.command === undefined ? {} : { command: options.command }),
          ...(options.user === undefined ? {} : { userId: options.user }),
          ...(options.before === undefined ? {} : { before: await requireRun(db, options.before) }),
        });
        io.stdout.write(
          options.json === true ? found.map((run) => `${JSON.stringify(run)}\n`).join('') : listing(found),
        );
      }),
    );
}

function registerShow(runs: Command, io: CliIo, withLedger: WithLedger): void {
  withConfigOption(runs.command('show'))
    .argument('<run>', REFERENCE)
    .description('show one run and what happened to it')
    .option('--json', 'print as JSON')
    .action((reference: string, options: CommonOptions) =>
      withLedger(io, { configPath: options.config }, async ({ db }) => {
        const run = await requireRun(db, reference);
        const events = await listRunEvents(db, run.runId);
        io.stdout.write(options.json === true ? `${JSON.stringify({ ...run, events })}\n` : details(run, events));
      }),
    );
}

function registerCancel(runs: Command, io: CliIo, withLedger: WithLedger): void {
  withConfigOption(runs.command('cancel'))
    .argument('<run>', REFERENCE)
    .description('end a live run; its workflow is stopped, with its exit handlers')
    .option('--by <name>', 'who asks, for the record', 'an operator')
    .action((reference: string, options: CommonOptions & { readonly by: string }) =>
      withLedger(io, { configPath: options.config }, async ({ db, dispatch }) => {
        const run = await requireRun(db, reference);
        const state = await dispatch.cancel(run.runId, options.by);
        const live = state === 'queued' || state === 'submitted' || state === 'running';
        io.stdout.write(live ? `run ${run.runId} is being canceled\n` : `run ${run.runId} is over: ${state}\n`);
      }),
    );
}

function registerRetry(runs: Command, io: CliIo, withLedger: WithLedger): void {
  withConfigOption(runs.command('retry'))
    .argument('<run>', REFERENCE)
    .description('try a finished run again, as a new run linked to it')
    .option('--json', 'print as JSON')
    .action((reference: string, options: CommonOptions) =>
      withLedger(io, { configPath: options.config }, async ({ db, dispatch }) => {
        const run = await requireRun(db, reference);
        const receipt = await dispatch.retry(run.runId, { awaitSubmissionMs: 0 });
        const word = receipt.duplicate ? 'was retried already: run' : 'is tried again as run';
        io.stdout.write(
          options.json === true ? `${JSON.stringify(receipt)}\n` : `run ${run.runId} ${word} ${receipt.runId}\n`,
        );
      }),
    );
}

async function requireRun(db: Queryable, reference: string): Promise<RunView> {
  const run = await findRun(db, reference);
  if (run === undefined) {
    throw new FacteurError('run.unknown', `there is no run ${printable(reference)}`, { retryable: false });
  }
  return run;
}

function states(text: string): RunState[] {
  return text.split(',').map((word) => {
    const state = RUN_STATES.find((known) => known === word.trim());
    if (state === undefined) {
      throw new UsageError(`--state: ${printable(word)} is none of ${RUN_STATES.join(', ')}`);
    }
    return state;
  });
}

/** A whole number of at least 1 from an option's text. */
export function positive(text: string, option: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) {
    throw new UsageError(`${option}: must be a whole number of at least 1`);
  }
  return Number(text);
}

function listing(runs: readonly RunView[]): string {
  if (runs.length === 0) {
    return 'no runs\n';
  }
  const rows = runs.map((run) => [
    run.acceptedAt.toISOString().slice(0, 19).replace('T', ' '),
    run.state,
    run.progress,
    run.command,
    run.workflowName,
    run.runId,
  ]);
  return table(['ACCEPTED (UTC)', 'STATE', 'PROGRESS', 'COMMAND', 'WORKFLOW', 'RUN'], rows);
}

function details(run: RunView, events: readonly RunEvent[]): string {
  const fields = Object.entries(run)
    .map(([name, value]): [string, string] => [name, value instanceof Date ? value.toISOString() : String(value ?? '')])
    .filter(([, value]) => value !== '')
    .map(([name, value]) => [`${name}:`, value]);
  const lines = events.map((event) => [event.at.toISOString(), event.type, event.actor, JSON.stringify(event.payload)]);
  return `${table(['RUN', ''], fields)}\n${table(['AT', 'EVENT', 'BY', ''], lines)}`;
}
