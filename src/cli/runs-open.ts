import type { Command } from 'commander';
import { FacteurError } from '../base/errors.ts';
import { endedWithoutWorkflow, type RunState } from '../domain/run-state.ts';
import type { RunDetails } from '../ledger/run-details.ts';
import type { CliIo } from './io.ts';
import { formatOf, oneOutput, withOutput, type OutputOptions } from './output.ts';
import { REFERENCE, requireRun } from './require-run.ts';
import { shortId } from './run-text.ts';
import { withStoreOptions, type StoreOptions, type WithStore } from './store-access.ts';
import { printable } from './table.ts';

interface OpenOptions extends StoreOptions, OutputOptions {
  readonly trace?: boolean;
  readonly print?: boolean;
}

/** `facteur runs open RUN`: opens its page in the Argo UI, else its message in Discord; or its trace. */
export function registerOpen(runs: Command, io: CliIo, withStore: WithStore): void {
  withOutput(withStoreOptions(runs.command('open')))
    .argument('<run>', REFERENCE)
    .description('open the page of a run in the Argo UI, or else its message in Discord')
    .option('--trace', 'open its trace in the tracing UI instead')
    .option('--print', 'print the URL instead of opening it')
    .addHelpText(
      'after',
      `
Examples:
  facteur runs open 0b5e7d3c
  facteur runs open --trace 0b5e7d3c
  facteur runs open --print 0b5e7d3c`,
    )
    .action((reference: string, options: OpenOptions) =>
      withStore(io, { options }, async (store) => {
        const { runId, state, links, traceId } = await store.describeRun((await requireRun(store, reference)).runId);
        const url = options.trace === true ? links.trace : (links.workflow ?? links.message);
        if (url === undefined || !/^https?:\/\//.test(url)) {
          const message = options.trace === true ? noTrace(runId, traceId) : noPage(runId, state);
          throw new FacteurError('run.no_page', message, { retryable: false });
        }
        const text = () => `${printable(url)}\n`;
        io.stdout.write(oneOutput({ runId, url }, options, { name: () => runId, text }));
        if (options.print !== true && formatOf(options) === 'text' && io.stdout.isTTY) {
          io.openUrl?.(url);
        }
      }),
    );
}

function noPage(runId: string, state: RunState): string {
  const why = endedWithoutWorkflow(state) ? `: it was ${state} before it had a workflow` : '; configure argo.ui_url';
  return `run ${shortId(runId)} has no page${why}`;
}

function noTrace(runId: string, traceId: RunDetails['traceId']): string {
  return traceId === ''
    ? `run ${shortId(runId)} has no trace`
    : `no link to trace ${printable(traceId)}: it is not sampled, or telemetry.trace_url is not configured`;
}
