import { MAX_CHOICES, type CommandDefinition, type OptionDefinition } from './command.ts';
import { subcommandOf } from './subcommand.ts';

/** Discord's limit for all names, descriptions and values of one command. */
export const MAX_COMMAND_CHARACTERS = 8000;

type Sized = Pick<CommandDefinition, 'description' | 'modal'> & {
  readonly options: readonly Pick<OptionDefinition, 'name' | 'description' | 'choices'>[];
};

/**
 * The size of a command in characters, counted as Discord does: code points of everything that is registered. Every subcommand
 * and group counts its own name and description once for all of its options.
 *
 * @param name of the command; with spaces, of a subcommand
 */
export function commandCharacters(name: string, { description, options, modal }: Sized): number {
  const shown = modal === undefined ? options : [];
  const subcommands = new Set(shown.map((option) => subcommandOf(option.name)).filter((path) => path !== ''));
  const groups = new Set([...subcommands].map(subcommandOf).filter((path) => path !== ''));
  const named = [...name.split(' '), ...new Set([...subcommands, ...groups])];
  const texts = [
    ...named.flatMap((path) => [lastPart(path), description]),
    ...shown.flatMap((option) => [lastPart(option.name), option.description, ...choiceTexts(option)]),
  ];
  return texts.reduce((sum, text) => sum + [...text].length, 0);
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

/** Only listed choices are registered. */
function choiceTexts({ choices = [] }: Sized['options'][number]): readonly string[] {
  return choices.length > MAX_CHOICES ? [] : choices.flatMap(({ name, value }) => [name, value]);
}
