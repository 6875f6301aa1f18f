import { Command, CommanderError } from 'commander';
import { errorMessage } from '../../base/errors.ts';
import type { CliIo, ExitCode } from './io.ts';

/** Adds one command (or a group of them) to the program. */
export type RegisterCommand = (program: Command, io: CliIo) => void;

/** A command was used wrongly: exit code 2, like a flag that does not exist. */
export class UsageError extends Error {}

/**
 * Runs one command line. Failures are one clear line on stderr, with the stack only after `--debug`.
 *
 * @returns the exit code: 0 success, 1 failure, 2 wrong usage
 */
export async function runCli(io: CliIo, commands: readonly RegisterCommand[]): Promise<ExitCode> {
  const program = new Command('facteur')
    .description('Runs Argo Workflows from Discord, Kafka and HTTP: durable and exactly once')
    .option('--debug', 'print stack traces')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
    })
    .showHelpAfterError('(facteur help COMMAND shows how it is used)');
  for (const register of commands) {
    register(program, io);
  }
  for (const command of allCommands(program)) {
    command.copyInheritedSettings(program);
  }
  try {
    await program.parseAsync([...io.args], { from: 'user' });
    return 0;
  } catch (error) {
    return report(error, io, program.opts<{ debug?: boolean }>().debug === true);
  }
}

function allCommands(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...allCommands(child)]);
}

function report(error: unknown, io: CliIo, debug: boolean): ExitCode {
  if (error instanceof CommanderError) {
    // Commander has printed what is wrong, or the help that was asked for.
    return error.exitCode === 0 ? 0 : 2;
  }
  const text = debug && error instanceof Error ? (error.stack ?? error.message) : errorMessage(error);
  io.stderr.write(`facteur: ${text}\n`);
  return error instanceof UsageError ? 2 : 1;
}
