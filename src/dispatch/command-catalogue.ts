import type { Logger } from '../base/logger.ts';
import { dictionary } from '../config/dictionary.ts';
import type { CommandDefinition, TemplateSource } from '../domain/command.ts';
import { mappedRoles, type CommandRules } from '../domain/command-rules.ts';
import { commandCharacters, MAX_COMMAND_CHARACTERS } from '../domain/command-size.ts';
import type { TemplateCommand } from '../domain/template-command.ts';

/** A command that the configuration or a template defines. */
interface ListedCommand {
  readonly name: string;
  readonly definition: CommandDefinition;
  /** Empty when anybody may run it. */
  readonly roles: readonly string[];
  /** Why the command does not exist; empty if it does. */
  readonly problems: readonly string[];
}

/** All commands at one moment. Immutable: a change creates a new snapshot. */
export interface CommandSnapshot extends CommandRules {
  /** The commands that exist, and those that do not, with the reasons. */
  readonly listed: readonly ListedCommand[];
}

/** Discord's limits: commands per server, and subcommands per command or group. */
const MAX_COMMANDS = 100;
const MAX_SUBCOMMANDS = 25;

/**
 * The commands of the configuration (including the built-in ones) and of templates as one set of rules. The configuration takes
 * precedence. If two templates claim a name, neither gets it, since it would be unclear which one runs.
 */
export function mergeCommands(
  own: CommandRules,
  templates: readonly TemplateCommand[],
  isComplete = true,
): CommandSnapshot {
  const ordered = templates.toSorted((one, other) => compare(placeOf(one.source), placeOf(other.source)));
  const sound = ordered.filter(({ faults }) => faults.length === 0);
  const room = new Room(own);
  const asked = ordered.map((template): ListedCommand => {
    const { name, definition, faults } = template;
    const problems = [
      ...faults.map(({ field, message }) => `${field}: ${message}`),
      ...(faults.length > 0 ? [] : claimProblems(template, own, sound)),
    ];
    return {
      name,
      definition,
      roles: rolesOf(template, own),
      problems: problems.length > 0 ? problems : room.take(name, definition),
    };
  });
  const existing = asked.filter(({ problems }) => problems.length === 0);
  const mine = Object.entries(own.commands).map(([name, definition]): ListedCommand => {
    return { name, definition, roles: own.roleMap[name] ?? [], problems: [] };
  });
  return {
    commands: dictionary([
      ...Object.entries(own.commands),
      ...existing.map((one) => [one.name, one.definition] as const),
    ]),
    roleMap: dictionary([...Object.entries(own.roleMap), ...existing.map((one) => [one.name, one.roles] as const)]),
    listed: [...mine, ...asked],
    guildId: own.guildId,
    ...(isComplete ? {} : { incomplete: true }),
  };
}

/** `argo-workflows/deploy`: the template of a command. */
export function placeOf({ namespace, name }: TemplateSource): string {
  return `${namespace}/${name}`;
}

/**
 * The operator's role map takes precedence for its names, whoever defines the command; an empty entry does not open a template's
 * command to everybody.
 */
function rolesOf({ name, roles }: TemplateCommand, { roleMap }: CommandRules): readonly string[] {
  const ruled = mappedRoles(roleMap, name);
  return ruled.length > 0 ? ruled : roles;
}

function claimProblems(
  { name, source }: TemplateCommand,
  own: CommandRules,
  sound: readonly TemplateCommand[],
): readonly string[] {
  const [top = ''] = name.split(' ');
  const mine = Object.hasOwn(own.commands, top) ? own.commands[top] : undefined;
  if (mine !== undefined) {
    return [`/${top} is ${mine.configured ? 'a command of the configuration' : 'a built-in command'}`];
  }
  const rivals = sound.filter((other) => other.source !== source && overlaps(other.name, name));
  return rivals.length === 0
    ? []
    : [`/${name} is also claimed by ${rivals.map((rival) => `${placeOf(rival.source)} (/${rival.name})`).join(', ')}`];
}

/** The same command, or one of them would be both a command and a group of subcommands. */
function overlaps(one: string, other: string): boolean {
  return `${one} `.startsWith(`${other} `) || `${other} `.startsWith(`${one} `);
}

/** Assigns the room that Discord has for commands, in the order of the templates. */
class Room {
  readonly #tops: Set<string>;
  readonly #children = new Map<string, Set<string>>();
  readonly #characters = new Map<string, number>();

  constructor(own: CommandRules) {
    this.#tops = new Set(Object.keys(own.commands));
  }

  /** Takes room for a command. @returns the reasons why there is none */
  take(name: string, definition: CommandDefinition): readonly string[] {
    const words = name.split(' ');
    const [top = ''] = words;
    const parents = words.slice(1).map((_, index) => words.slice(0, index + 1).join(' '));
    const full = parents.find((parent, index) => {
      const children = this.#children.get(parent) ?? new Set();
      return children.size >= MAX_SUBCOMMANDS && !children.has(words[index + 1] ?? '');
    });
    const characters = (this.#characters.get(top) ?? 0) + commandCharacters(name, definition);
    if (!this.#tops.has(top) && this.#tops.size >= MAX_COMMANDS) {
      return [`Discord takes only ${MAX_COMMANDS} commands`];
    }
    if (full !== undefined) {
      return [`Discord takes only ${MAX_SUBCOMMANDS} subcommands of /${full}`];
    }
    if (characters > MAX_COMMAND_CHARACTERS) {
      return [`/${top} with its subcommands would exceed ${MAX_COMMAND_CHARACTERS} characters`];
    }
    this.#tops.add(top);
    this.#characters.set(top, characters);
    parents.forEach((parent, index) => {
      this.#children.set(parent, (this.#children.get(parent) ?? new Set()).add(words[index + 1] ?? ''));
    });
    return [];
  }
}

function compare(one: string, other: string): number {
  if (one === other) {
    return 0;
  }
  return one < other ? -1 : 1;
}

/** The current commands of this process: everybody who asks at one moment gets the same snapshot. */
export class CommandCatalogue {
  readonly #own: CommandRules;
  readonly #logger: Logger;
  readonly #listeners = new Set<() => void>();
  #current: CommandSnapshot;
  #reported: ReadonlySet<string> = new Set();

  /** @param awaitsTemplates until the first {@link replace}, an unknown name may be a template's */
  constructor(own: CommandRules, logger: Logger, awaitsTemplates: boolean) {
    this.#own = own;
    this.#logger = logger;
    this.#current = mergeCommands(own, [], !awaitsTemplates);
  }

  /** Bound, because callers store it as a property. */
  readonly rules = (): CommandSnapshot => this.#current;

  /** Replaces all commands of templates at once. */
  replace(templates: readonly TemplateCommand[], isComplete: boolean): void {
    this.#current = mergeCommands(this.#own, templates, isComplete);
    this.#report();
    this.#listeners.forEach((listener) => listener());
  }

  /** @returns a function that unsubscribes */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Logs each problem when it appears, not again at every other change. */
  #report(): void {
    const problems = new Map<string, ListedCommand>();
    for (const listed of this.#current.listed.filter((one) => one.problems.length > 0)) {
      const { template } = listed.definition;
      problems.set(`${template === undefined ? '' : placeOf(template)} ${listed.problems.join('; ')}`, listed);
    }
    for (const [key, { name, definition, problems: reasons }] of problems) {
      if (!this.#reported.has(key)) {
        const template = definition.template === undefined ? '' : placeOf(definition.template);
        this.#logger.warn({ template, command: name, problems: reasons.join('; ') }, 'a template gets no command');
      }
    }
    this.#reported = new Set(problems.keys());
  }
}
