import type { Command } from 'commander';
import type { Clock } from '../base/clock.ts';
import { isFinished } from '../domain/run-state.ts';
import type { RunView } from '../ledger/find-runs.ts';
import { changeEach, withChangeOptions, type ChangeOptions } from './change-each.ts';
import type { CliIo } from './io.ts';
import { oneOutput, withOutput, type OutputOptions } from './output.ts';
import type { RegisterCommand } from './program.ts';
import { namedRun, REFERENCE, requireRun, requireRuns } from './require-run.ts';
import type { RunStore } from './run-store.ts';
import { runDetails } from './run-text.ts';
import { registerList } from './runs-list.ts';
import { registerLogs } from './runs-logs.ts';
import { registerOpen } from './runs-open.ts';
import { registerWatch } from './runs-watch.ts';
import { screenOf } from './screen.ts';
import { withStoreOptions, type StoreOptions, type WithStore } from './store-access.ts';
import { printable } from './table.ts';

/** `facteur runs …`: the ledger from a terminal. */
export function runsCommand(withStore: WithStore, clock: Clock): RegisterCommand {
  return (program, io) => {
    const runs = program
      .command('runs')
      .description('list, show, watch, open, cancel and retry runs, and read their logs');
    registerList(runs, io, { withStore, clock });
    registerShow(runs, io, { withStore, clock });
    registerWatch(runs, io, { withStore, clock });
    registerLogs(runs, io, withStore);
    registerOpen(runs, io, withStore);
    registerCancel(runs, io, withStore);
    registerRetry(runs, io, withStore);
  };
}

function registerShow(
  runs: Command,
  io: CliIo,
  { withStore, clock }: { readonly withStore: WithStore; readonly clock: Clock },
): void {
  withOutput(withStoreOptions(runs.command('show')))
    .argument('<run>', REFERENCE)
    .description('show one run: the request, its history, and links')
    .addHelpText(
      'after',
      `
Examples:
  facteur runs show 0b5e7d3c
  facteur runs show plan-20261128-120000-4f9a1c -o yaml`,
    )
    .action((reference: string, options: StoreOptions & OutputOptions) =>
      withStore(io, { options }, async (store) => {
        const run = await store.describeRun((await requireRun(store, reference)).runId);
        const text = () => runDetails(run, { ...screenOf(io), now: clock.now() });
        io.stdout.write(oneOutput(run, options, { name: ({ runId }) => runId, text }));
      }),
    );
}

function registerCancel(runs: Command, io: CliIo, withStore: WithStore): void {
  withChangeOptions(withStoreOptions(runs.command('cancel')))
    .argument('<runs...>', REFERENCE)
    .description('cancel runs and stop their workflows; exit handlers still run')
    .option('--by <name>', 'name recorded as the requester (default: an operator)')
    .addHelpText(
      'after',
      `
Examples:
  facteur runs cancel 0b5e7d3c
  facteur runs list --command plan --state live -o name | xargs -r facteur runs cancel`,
    )
    .action((references: string[], options: StoreOptions & ChangeOptions & { readonly by?: string }) =>
      withStore(io, { options }, async (store) => {
        const targets = await requireRuns(store, references);
        await changeEach(
          {
            ...OF_RUNS,
            targets,
            verb: 'cancel',
            obstacle: cancelObstacle,
            apply: async ({ runId }) => {
              const state = await store.cancel(runId, options.by);
              const line = isFinished(state) ? `has already ended: ${printable(state)}` : 'is being canceled';
              return { line: `run ${printable(runId)} ${line}`, result: { runId, state } };
            },
          },
          options,
          io,
        );
      }),
    );
}

function registerRetry(runs: Command, io: CliIo, withStore: WithStore): void {
  withChangeOptions(withStoreOptions(runs.command('retry')))
    .argument('<runs...>', REFERENCE)
    .description('retry runs that did not succeed, from the first step, each as a new, linked run')
    .addHelpText(
      'after',
      `
Examples:
  facteur runs retry 0b5e7d3c
  facteur runs list --state failed -o name | xargs -r facteur runs retry`,
    )
    .action((references: string[], options: StoreOptions & ChangeOptions) =>
      withStore(io, { options, plans: true }, async (store) => {
        const targets = await requireRuns(store, references);
        await changeEach(
          {
            ...OF_RUNS,
            targets,
            verb: 'retry',
            obstacle: (run) => retryObstacle(run, store),
            apply: async ({ runId }) => {
              const receipt = await store.retry(runId);
              const word = receipt.duplicate ? 'was already retried as run' : 'is retried as run';
              const line = `run ${printable(runId)} ${word} ${printable(receipt.runId)}`;
              return { line, result: receipt, newId: receipt.runId };
            },
          },
          options,
          io,
        );
      }),
    );
}

/** How changes of runs name them. */
const OF_RUNS = { noun: 'run', nameOf: namedRun, idOf: ({ runId }: RunView): string => runId };

function cancelObstacle({ state }: RunView): string | undefined {
  return isFinished(state) ? `it has already ended: ${state}` : undefined;
}

async function retryObstacle({ runId, state }: RunView, store: RunStore): Promise<string | undefined> {
  if (!isFinished(state)) {
    return `it is ${state}; cancel it first`;
  }
  if (state === 'succeeded') {
    return 'it succeeded';
  }
  const { retriedBy, request } = await store.describeRun(runId);
  if (retriedBy !== '') {
    return `it was already retried as run ${retriedBy}`;
  }
  return request === null ? 'it is archived' : undefined;
}
