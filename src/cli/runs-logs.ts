import type { Command } from 'commander';
import { FacteurError } from '../base/errors.ts';
import { pause } from '../base/timer.ts';
import { isFinished } from '../domain/run-state.ts';
import type { CliIo } from './io.ts';
import { lookAgain } from './look-again.ts';
import { itemOutput, oneOutput, withOutput, type OutputOptions } from './output.ts';
import { REFERENCE, requireRun } from './require-run.ts';
import type { RunStore, StepLogText } from './run-store.ts';
import { withStoreOptions, type StoreOptions, type WithStore } from './store-access.ts';
import { printable } from './table.ts';

/** Polling interval in milliseconds. */
const FOLLOW_MS = 2000;

const NO_LOG = {
  disabled: 'the dispatcher is disabled',
  gone: 'it no longer exists',
  no_step: 'no step has a log; name one that ran in a pod',
  denied: 'facteur has no permission to read pods/log',
  silent: 'the cluster does not respond',
} as const;

const PERMANENT: ReadonlySet<StepLogText['problem']> = new Set(['disabled', 'denied']);

function noLog(problem: keyof typeof NO_LOG): FacteurError {
  return new FacteurError('run.no_log', `no log: ${NO_LOG[problem]}`, { retryable: false });
}

type LogOptions = StoreOptions & OutputOptions & { readonly follow?: boolean };

/** `facteur runs logs RUN [STEP]`: the log of a step. */
export function registerLogs(runs: Command, io: CliIo, withStore: WithStore): void {
  withOutput(withStoreOptions(runs.command('logs')))
    .argument('<run>', REFERENCE)
    .argument('[step]', 'name of a step (default: the current one, else the failing or last one)')
    .description("print the last lines of a step's log, with anything that looks like a credential removed")
    .option('-f, --follow', 'keep printing new lines until the run ends')
    .addHelpText(
      'after',
      `
Examples:
  facteur runs logs 0b5e7d3c
  facteur runs logs -f 0b5e7d3c build`,
    )
    .action((reference: string, step: string | undefined, options: LogOptions) =>
      withStore(io, { options }, async (store) => {
        const { runId } = await requireRun(store, reference);
        if (options.follow === true) {
          await follow({ runId, step: step ?? '' }, options, { store, io });
          return;
        }
        const log = await store.readLog(runId, step ?? '');
        if (log.problem !== null) {
          throw noLog(log.problem);
        }
        io.stdout.write(oneOutput(log, options, { name: () => log.step, text: () => logText(log.lines) }));
      }),
    );
}

async function follow(
  { runId, step }: { readonly runId: string; readonly step: string },
  options: OutputOptions,
  { store, io }: { readonly store: RunStore; readonly io: CliIo },
): Promise<void> {
  const stop = AbortSignal.any([io.signal, io.outputClosed]);
  let shown = { step: '', lines: '' };
  let isOver = false;
  while (!stop.aborted && !isOver) {
    const seen = await lookAgain(() => readStep(store, runId, step), { io, pauseMs: FOLLOW_MS, stop });
    if (seen === undefined) {
      return;
    }
    const { log } = seen;
    isOver = seen.isOver;
    const before = log.step === shown.step ? shown.lines : '';
    const more = log.problem === null ? addedLines(before, log.lines) : '';
    if (more !== '') {
      const heading = log.step === shown.step ? '' : `==> ${printable(log.step)} <==\n`;
      const shape = { name: () => log.step, text: () => heading + logText(more) };
      io.stdout.write(itemOutput({ step: log.step, lines: more }, options, shape));
      shown = { step: log.step, lines: log.lines };
    }
    requireHope(log, isOver && shown.step === '');
    await (isOver ? Promise.resolve() : pause(FOLLOW_MS, stop));
  }
}

/** Reads whether the run is over before the log: then the log of a finished run is complete. */
async function readStep(store: RunStore, runId: string, step: string) {
  const isOver = isFinished((await requireRun(store, runId)).state);
  return { isOver, log: await store.readLog(runId, step) };
}

/** A step without a log may get one later; other problems are permanent. @throws FacteurError `run.no_log` */
function requireHope({ problem }: StepLogText, wasLastChance: boolean): void {
  if (problem !== null && (wasLastChance || PERMANENT.has(problem))) {
    throw noLog(problem);
  }
}

/** The new lines at the end of a log: those after the longest overlap with its earlier end. */
export function addedLines(before: string, after: string): string {
  const [old, now] = [before, after].map((text) => (text === '' ? [] : text.split('\n')));
  if (old === undefined || now === undefined) {
    return after;
  }
  for (let overlap = Math.min(old.length, now.length); overlap > 0; overlap -= 1) {
    if (old.slice(-overlap).join('\n') === now.slice(0, overlap).join('\n')) {
      return now.slice(overlap).join('\n');
    }
  }
  return after;
}

function logText(lines: string): string {
  return lines === '' ? '' : `${lines.split('\n').map(printable).join('\n')}\n`;
}
