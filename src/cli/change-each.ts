import { Option, type Command } from 'commander';
import { errorMessage, FacteurError } from '../base/errors.ts';
import type { CliIo } from './io.ts';
import { printable } from './table.ts';

/** Options of a command that changes several things at once. */
export interface ChangeOptions {
  readonly output?: 'json';
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

/** A change of one thing or several. */
interface Change<T> {
  readonly targets: readonly T[];
  /** `cancel`. */
  readonly verb: string;
  /** `run`, for one of them. */
  readonly noun: string;
  readonly nameOf: (target: T) => string;
  readonly apply: (target: T) => Promise<Applied>;
}

interface Applied {
  /** For people. */
  readonly line: string;
  /** For programs. */
  readonly result: object;
}

/** `--yes`, `--dry-run` and `-o json`. */
export function withChangeOptions(command: Command): Command {
  return command
    .option('-y, --yes', 'do not ask for confirmation when several are affected')
    .option('--dry-run', 'print what would be changed and change nothing')
    .addOption(new Option('-o, --output <format>', 'a format for programs: one JSON object per line').choices(['json']))
    .option('--json', 'short for -o json');
}

/**
 * Changes each in turn and prints each result when it is there. Several are asked about first if somebody is at the
 * terminal; a failure of one does not keep the others from changing.
 *
 * @throws FacteurError `cli.declined`, `cli.some_failed`; the error itself where there is only one target
 */
export async function changeEach<T>(change: Change<T>, options: ChangeOptions, io: CliIo): Promise<void> {
  const { targets, verb, noun, nameOf, apply } = change;
  if (options.dryRun === true) {
    for (const target of targets) {
      print(
        { line: `would ${verb} ${noun} ${printable(nameOf(target))}`, result: { dryRun: true, name: nameOf(target) } },
        options,
        io,
      );
    }
    return;
  }
  await confirm(`${verb} ${targets.length} ${noun}s`, { asks: targets.length > 1 && options.yes !== true, io });
  let failed = 0;
  for (const target of targets) {
    try {
      print(await apply(target), options, io);
    } catch (error) {
      if (targets.length === 1) {
        throw error;
      }
      failed += 1;
      io.stderr.write(`facteur: ${noun} ${printable(nameOf(target))}: ${printable(errorMessage(error))}\n`);
    }
  }
  if (failed > 0) {
    throw new FacteurError('cli.some_failed', `${failed} of ${targets.length} failed`, { retryable: false });
  }
}

function print({ line, result }: Applied, { json, output }: ChangeOptions, io: CliIo): void {
  const machine = json === true || output === 'json';
  io.stdout.write(machine ? `${JSON.stringify(result)}\n` : `${line}\n`);
}

async function confirm(what: string, { asks, io }: { readonly asks: boolean; readonly io: CliIo }): Promise<void> {
  if (!asks || io.ask === undefined) {
    return;
  }
  const answer = await io.ask(`${what}? [y/N] `);
  if (!/^y(?:es)?$/i.test(answer.trim())) {
    throw new FacteurError('cli.declined', 'nothing was changed', { retryable: false });
  }
}
