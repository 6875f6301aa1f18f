import type { Command } from 'commander';
import type { Clock } from '../base/clock.ts';
import { FacteurError } from '../base/errors.ts';
import { pause } from '../base/timer.ts';
import { isFinished } from '../domain/run-state.ts';
import type { RunView } from '../ledger/find-runs.ts';
import type { CliIo } from './io.ts';
import { lookAgain } from './look-again.ts';
import { itemOutput, withOutput, type OutputOptions } from './output.ts';
import { REFERENCE, requireRun } from './require-run.ts';
import { requestText, shortId, stateText, tookText } from './run-text.ts';
import { withStoreOptions, type StoreOptions, type WithStore } from './store-access.ts';
import { printable } from './table.ts';

/** Polling interval in milliseconds. */
const WATCH_MS = 1000;

/** `facteur runs watch`: until the run ends. The exit code is 0 only if it succeeded. */
export function registerWatch(
  runs: Command,
  io: CliIo,
  { withStore, clock }: { readonly withStore: WithStore; readonly clock: Clock },
): void {
  withOutput(withStoreOptions(runs.command('watch')))
    .argument('<run>', REFERENCE)
    .description('follow a run until it ends; exits with 0 if it succeeded, else with 1')
    .addHelpText(
      'after',
      `
Examples:
  facteur runs watch 0b5e7d3c
  facteur runs watch plan-20261128-120000-4f9a1c && ./deploy.sh`,
    )
    .action((reference: string, options: StoreOptions & OutputOptions) =>
      withStore(io, { options }, async (store) => {
        const stop = AbortSignal.any([io.signal, io.outputClosed]);
        let run = await requireRun(store, reference);
        let said = '';
        while (!stop.aborted) {
          const line = changeLine(run, options, clock.now());
          io.stdout.write(line === said ? '' : line);
          said = line;
          if (isFinished(run.state)) {
            return judged(run);
          }
          await pause(WATCH_MS, stop);
          const { runId } = run;
          run = (await lookAgain(() => requireRun(store, runId), { io, pauseMs: WATCH_MS, stop })) ?? run;
        }
      }),
    );
}

function changeLine(run: RunView, options: OutputOptions, now: Date): string {
  const took = isFinished(run.state) ? tookText(run, now) : '';
  const word = run.state === 'succeeded' ? 'in' : 'after';
  const state = took === '' ? stateText(run) : `${run.state} ${word} ${took}`;
  // The request may be long, so later lines omit it.
  const parts = [shortId(run.runId), state, run.reason, requestText(run)];
  const text = () => `${printable(parts.filter((part) => part !== '').join('  '))}\n`;
  return itemOutput(run, options, { name: ({ runId }) => runId, text });
}

function judged({ runId, state }: RunView): void {
  if (state !== 'succeeded') {
    throw new FacteurError('run.not_succeeded', `run ${shortId(runId)} ended: ${state}`, { retryable: false });
  }
}
