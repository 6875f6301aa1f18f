import type { Command } from 'commander';
import { errorMessage, FacteurError } from '../base/errors.ts';
import { counted } from '../presentation/counted.ts';
import type { CliIo } from './io.ts';
import { itemOutput, withOutput, type OutputOptions } from './output.ts';
import { UsageError } from './program.ts';
import { printable } from './table.ts';

/** Options of a command that changes several things at once. */
export interface ChangeOptions extends OutputOptions {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

/** A change of one or several targets. */
interface Change<T> {
  readonly targets: readonly T[];
  /** For example `cancel`. */
  readonly verb: string;
  /** The name of one target, for example `run`. */
  readonly noun: string;
  readonly nameOf: (target: T) => string;
  /** Why the target would not change, for a dry run; undefined if it would. */
  readonly obstacle?: (target: T) => string | undefined | Promise<string | undefined>;
  /** For programs: an id that other commands accept. */
  readonly idOf: (target: T) => string;
  readonly apply: (target: T) => Promise<Applied>;
}

interface Applied {
  /** For people. */
  readonly line: string;
  /** For programs. */
  readonly result: object;
  /** The id of the result, if the change created something new. */
  readonly newId?: string;
}

/** `--yes`, `--dry-run` and `-o`. */
export function withChangeOptions(command: Command): Command {
  return withOutput(command)
    .option('-y, --yes', 'do not ask for confirmation when several are affected')
    .option('--dry-run', 'print what would be changed and change nothing');
}

/**
 * Changes the targets one by one and prints each result immediately. Asks for confirmation of several first if a person is at the
 * terminal. If one fails, the others are still changed.
 *
 * @throws UsageError from a change; FacteurError `cli.declined`, `cli.some_failed`, or the error of the only target
 */
export async function changeEach<T>(change: Change<T>, options: ChangeOptions, io: CliIo): Promise<void> {
  const { targets, verb, noun } = change;
  const print = (target: T, { line, result, newId }: Applied): void => {
    const shape = { name: () => newId ?? change.idOf(target), text: () => `${line}\n` };
    io.stdout.write(itemOutput(result, options, shape));
  };
  if (options.dryRun === true) {
    for (const target of targets) {
      print(target, await preview(change, target));
    }
    return;
  }
  await confirm(`${verb} ${counted(targets.length, noun)}`, { asks: targets.length > 1 && options.yes !== true, io });
  let failed = 0;
  for (const target of targets) {
    try {
      print(target, await change.apply(target));
    } catch (error) {
      // The command line is wrong for every target.
      if (error instanceof UsageError) {
        throw error;
      }
      const named = nameTarget(error, noun, change.nameOf(target));
      if (targets.length === 1) {
        throw named;
      }
      failed += 1;
      io.stderr.write(`facteur: ${printable(errorMessage(named))}\n`);
    }
  }
  if (failed > 0) {
    throw new FacteurError('cli.some_failed', `${failed} of ${targets.length} failed`, { retryable: false });
  }
}

async function preview<T>({ verb, noun, nameOf, idOf, obstacle: obstacleOf }: Change<T>, target: T): Promise<Applied> {
  const [name, obstacle] = [nameOf(target), await obstacleOf?.(target)];
  const words = obstacle === undefined ? ['would', verb] : ['would not', verb];
  const line = [...words, noun, printable(name)].join(' ');
  const result = { dryRun: true, id: idOf(target), name, obstacle };
  return { line: obstacle === undefined ? line : `${line}: ${printable(obstacle)}`, result };
}

/** The error with the target's name in its message: most say `the run`, and some name it themselves. */
function nameTarget(error: unknown, noun: string, name: string): FacteurError {
  const [about, general] = [`${noun} ${name}`, `the ${noun} `];
  const { code, retryable, details } =
    error instanceof FacteurError ? error : { code: 'cli.failed', retryable: false, details: undefined };
  // The details of a refusal say what to change.
  const message = details === undefined ? errorMessage(error) : `${errorMessage(error)}: ${details}`;
  const rest = message.startsWith(general) ? ` ${message.slice(general.length)}` : `: ${message}`;
  return new FacteurError(code, message.includes(about) ? message : about + rest, { retryable, cause: error });
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
