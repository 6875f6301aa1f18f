import { subcommandOf } from '../domain/subcommand.ts';
import type { OptionEntry } from './command-shape.ts';

/** A violation of a rule: the path below the command, and the rest of the sentence that begins with that path. */
export interface RuleFault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/**
 * Discord's rules for subcommands: a level has either options or subcommands, and a name is either a group or a subcommand.
 * facteur also needs a required option: a subcommand reaches the workflow only by its options.
 */
export function subcommandFaults(options: readonly OptionEntry[]): RuleFault[] {
  const subcommands = new Set(options.map(({ name }) => subcommandOf(name)));
  const silent = new Set([...subcommands].filter((subcommand) => subcommand !== '' && !isHeard(subcommand, options)));
  return options.flatMap(({ name }, index) => {
    const subcommand = subcommandOf(name);
    const message =
      subcommand === ''
        ? plainFault(subcommands)
        : (groupFault(subcommand, subcommands) ?? silence(subcommand, silent));
    return message === undefined ? [] : [{ path: ['options', index], message }];
  });
}

function isHeard(subcommand: string, options: readonly OptionEntry[]): boolean {
  return options.some(({ name, required }) => required && subcommandOf(name) === subcommand);
}

function plainFault(subcommands: ReadonlySet<string>): string | undefined {
  return subcommands.size > 1 ? 'cannot be combined with options of subcommands' : undefined;
}

function groupFault(subcommand: string, subcommands: ReadonlySet<string>): string | undefined {
  const [group = '', ...rest] = subcommand.split('.');
  return rest.length > 0 && subcommands.has(group)
    ? `cannot be in a group, because ${group} is a subcommand`
    : undefined;
}

function silence(subcommand: string, silent: ReadonlySet<string>): string | undefined {
  return silent.has(subcommand) ? `belongs to ${subcommand}, which must have a required option` : undefined;
}
