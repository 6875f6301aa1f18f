import { spawnSync } from 'node:child_process';

/** Runs commands, and prints each one first. */
export interface Commands {
  /** Runs a read-only command, in a dry run too, and returns its output. */
  read(command: string, ...args: string[]): string;
  /** Runs a command on our terminal; a dry run only prints it. */
  run(command: string, ...args: string[]): void;
}

/** A command that could not be run or failed. */
export class CommandError extends Error {}

/** Commands in this folder. */
export function createCommands(cwd: string, dryRun: boolean, print: (line: string) => void): Commands {
  const execute = (command: string, args: readonly string[], capture: boolean): string => {
    const { status, stdout, error } = spawnSync(command, args, {
      cwd,
      stdio: ['ignore', capture ? 'pipe' : 'inherit', 'inherit'],
      encoding: 'utf8',
      // Room for a rendered overlay or a pod list.
      maxBuffer: 64 * 1024 * 1024,
    });
    if (error !== undefined) {
      throw new CommandError(`${command} cannot be run: ${error.message}`, { cause: error });
    }
    if (status !== 0) {
      throw new CommandError(`${command} ${args[0] ?? ''} ended with ${status ?? 'a signal'}`);
    }
    return stdout ?? '';
  };
  return {
    read(command, ...args) {
      print(`+ ${commandLine(command, args)}`);
      return execute(command, args, true);
    },
    run(command, ...args) {
      print(`+ ${commandLine(command, args)}`);
      if (!dryRun) {
        execute(command, args, false);
      }
    },
  };
}

/** The command line, quoted for a shell. */
export function commandLine(command: string, args: readonly string[]): string {
  return [command, ...args]
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(' ');
}
