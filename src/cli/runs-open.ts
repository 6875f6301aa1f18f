import type { Command } from 'commander';
import { FacteurError } from '../base/errors.ts';
import type { CliIo } from './io.ts';
import { REFERENCE, requireRun } from './require-run.ts';
import { withStoreOptions, type StoreOptions, type WithStore } from './store-access.ts';
import { printable } from './table.ts';

/** `facteur runs open RUN`: its page in the Argo UI, or else its message in Discord. */
export function registerOpen(runs: Command, io: CliIo, withStore: WithStore): void {
  withStoreOptions(runs.command('open'))
    .argument('<run>', REFERENCE)
    .description('open the page of a run in the Argo UI, or else its message in Discord')
    .option('--print', 'print the URL instead of opening it')
    .addHelpText(
      'after',
      `
Examples:
  facteur runs open 0b5e7d3c
  facteur runs open --print 0b5e7d3c`,
    )
    .action((reference: string, options: StoreOptions & { readonly print?: boolean }) =>
      withStore(io, { options }, async (store) => {
        const { links } = await store.describeRun((await requireRun(store, reference)).runId);
        const url = links.workflow ?? links.message;
        if (url === undefined || !/^https?:\/\//.test(url)) {
          throw new FacteurError('run.no_page', 'the run has no page; configure argo.ui_url', { retryable: false });
        }
        io.stdout.write(`${printable(url)}\n`);
        if (options.print !== true && io.stdout.isTTY) {
          io.openUrl?.(url);
        }
      }),
    );
}
