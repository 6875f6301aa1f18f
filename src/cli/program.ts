import { Command, CommanderError, Help, Option } from 'commander';
import { errorMessage } from '../base/errors.ts';
import type { CliIo, ExitCode } from './io.ts';

/** Adds one command (or a group of them) to the program. */
export type RegisterCommand = (program: Command, io: CliIo) => void;

/** Invalid usage of a command: exit code 2, as for an unknown flag. */
export class UsageError extends Error {}

/** Used without a terminal. */
const HELP_WIDTH = 80;

/**
 * Runs one command line. Failures are one clear line on stderr, with the stack only after `--debug`.
 *
 * @returns the exit code: 0 success, 1 failure, 2 wrong usage
 */
export async function runCli(io: CliIo, commands: readonly RegisterCommand[]): Promise<ExitCode> {
  let mistake: Mistake | undefined;
  const program = new Command('facteur')
    .description('Runs Argo Workflows from Discord, Kafka and HTTP: durably and exactly once')
    .option('--debug', 'print stack traces')
    .addHelpText('after', '\nExit codes: 0 success, 1 failure, 2 wrong usage.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      getOutHelpWidth: () => io.stdout.columns ?? HELP_WIDTH,
      getErrHelpWidth: () => io.stderr.columns ?? HELP_WIDTH,
    })
    .configureHelp({ optionDescription });
  for (const register of commands) {
    register(program, io);
  }
  for (const command of allCommands(program)) {
    command.copyInheritedSettings(program);
    takeOutput(command);
  }
  for (const command of [program, ...allCommands(program)]) {
    command.configureOutput({ outputError: (text) => (mistake = { text, command }) });
  }
  try {
    await program.parseAsync([...aboutKnown(program, commandFirst(io.args))], { from: 'user' });
    return 0;
  } catch (error) {
    return report(error, io, { mistake, debug: program.opts<{ debug?: boolean }>().debug === true });
  }
}

/** The commands of the Go service that read a configuration. */
const GO_COMMANDS = new Set(['serve', 'migrate', 'consume', 'codex-listen']);

/** Moves `--config` after the command: the Go service also accepted it before. */
export function commandFirst(args: readonly string[]): readonly string[] {
  const flags = args[0] === '--config' ? 2 : Number(args[0]?.startsWith('--config=') === true);
  const command = args[flags] ?? '';
  return flags > 0 && GO_COMMANDS.has(command) ? [command, ...args.slice(0, flags), ...args.slice(flags + 1)] : args;
}

/** The command in the arguments, after any options; empty without one. */
export function commandName(args: readonly string[]): string {
  return commandFirst(args).find((word) => !isFlag(word)) ?? '';
}

/**
 * Drops a request for help about an unknown command from the arguments: the parser would print the parent's help instead of an
 * error.
 */
function aboutKnown(command: Command, args: readonly string[]): readonly string[] {
  // If all arguments are flags, this is the last one.
  const at = args.findIndex((one) => !isFlagOf(command, one));
  const [word = '', ...rest] = args.slice(at);
  const child = childOf(command, word);
  if (child !== undefined) {
    return [...args.slice(0, at), word, ...aboutKnown(child, rest)];
  }
  if (command.commands.length === 0 || isFlag(word)) {
    return args;
  }
  const [topic = ''] = rest;
  const isKnown = isFlag(topic) || topic === 'help' || childOf(command, topic) !== undefined;
  const asked = isKnown ? args : rest;
  return word === 'help' ? asked : [word];
}

function childOf(command: Command, name: string): Command | undefined {
  return command.commands.find((one) => one.name() === name);
}

/** Help, or an option of the command that takes no value. */
function isFlagOf(command: Command, word: string): boolean {
  const isOwn = command.options.some((one) => one.isBoolean() && (one.short === word || one.long === word));
  return isOwn || word === '--help' || word === '-h';
}

/** Also true for an empty word. */
function isFlag(word: string): boolean {
  return word === '' || word.startsWith('-');
}

/** Adds `-o json` to a command with `--json`. */
function takeOutput(command: Command): void {
  const has = (flag: string): boolean => command.options.some(({ long }) => long === flag);
  if (has('--json') && !has('--output')) {
    const output = new Option('-o, --output <format>', 'a format for programs').choices(['json']);
    command.addOption(output.implies({ json: true }));
  }
}

/** Describes an option without an empty default value. */
function optionDescription(option: Option): string {
  const defaultValue: unknown = option.defaultValue;
  const isEmpty = defaultValue === '' || (Array.isArray(defaultValue) && defaultValue.length === 0);
  const shown = isEmpty ? (Object.create(option, { defaultValue: { value: undefined } }) as Option) : option;
  return new Help().optionDescription(shown);
}

function allCommands(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...allCommands(child)]);
}

async function report(
  error: unknown,
  io: CliIo,
  { mistake, debug }: { readonly mistake: Mistake | undefined; readonly debug: boolean },
): Promise<ExitCode> {
  // The error may quote user input, or output of another program.
  const { printable } = await import('./table.ts');
  if (error instanceof CommanderError) {
    io.stderr.write(mistake === undefined ? '' : `facteur: ${printable(mistakeText(mistake))}\n`);
    return error.exitCode === 0 ? 0 : 2;
  }
  const text = debug && error instanceof Error ? (error.stack ?? error.message) : errorMessage(error);
  io.stderr.write(`facteur: ${text.split('\n').map(printable).join('\n')}\n`);
  return error instanceof UsageError ? 2 : 1;
}

/** A parser error, and the command that it is about. */
interface Mistake {
  readonly text: string;
  readonly command: Command;
}

/** The error in the usual form: one line, with a hint about the help. */
function mistakeText({ text, command }: Mistake): string {
  const [, what = text, meant = ''] = /^(?:error: )?(.*?)\.?(?:\n\((Did you mean [^\n]*)\))?\n?$/s.exec(text) ?? [];
  const path: string[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) {
    path.unshift(at.name());
  }
  const hint = meant === '' ? '' : ` (${meant.replace(/^D/, 'd')})`;
  return `${what}${hint}; see "${path.join(' ')} --help"`;
}
