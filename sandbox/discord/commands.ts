import type { Clock } from '../../src/base/clock.ts';
import type { JsonObject } from '../cluster/objects.ts';
import { checkCommand } from './command-rules.ts';
import { tooManyCommands, tooManyCreations, unknown } from './discord-failure.ts';
import type { History } from './history.ts';
import type { Snowflakes } from './snowflake.ts';

/** Limit per command type. */
const MAX_COMMANDS = 100;
const DAY_MS = 24 * 60 * 60 * 1000;

/** A registered command as the API shows it. */
type RegisteredCommand = JsonObject & { readonly id: string; readonly name: string; readonly type: number };

interface CommandsDeps {
  readonly applicationId: string;
  readonly clock: Clock;
  readonly snowflakes: Snowflakes;
  readonly history: History;
  /** How many commands may be created in a scope in 24 hours. */
  readonly creationsADay: number;
}

/** The application commands, global ones under the scope `''`, others under their guild's id. */
export class Commands {
  readonly #deps: CommandsDeps;
  readonly #scopes = new Map<string, Map<string, RegisteredCommand>>();
  /** Times of the creations in each scope. */
  readonly #creations = new Map<string, readonly number[]>();

  constructor(deps: CommandsDeps) {
    this.#deps = deps;
  }

  list(scope: string): readonly RegisteredCommand[] {
    return [...this.#scope(scope).values()];
  }

  /** The command that a name means in this guild: the guild's own before the global one. */
  find(guildId: string, name: string): RegisteredCommand | undefined {
    const byName = (scope: string) => this.list(scope).find((command) => command.name === name);
    return byName(guildId) ?? byName('');
  }

  /** @throws DiscordFailure 10063 */
  get(scope: string, id: string): RegisteredCommand {
    const command = this.#scope(scope).get(id);
    if (command === undefined) {
      throw unknown('command');
    }
    return command;
  }

  /** A command of the same name and type is overwritten, and keeps its id. */
  create(scope: string, body: JsonObject): { readonly command: RegisteredCommand; readonly fresh: boolean } {
    checkCommand(body);
    const type = (body['type'] ?? 1) as number;
    const alike = this.list(scope).filter((command) => command.type === type);
    const known = alike.find((command) => command.name === body['name']);
    if (known === undefined) {
      if (alike.length >= MAX_COMMANDS) {
        throw tooManyCommands(MAX_COMMANDS);
      }
      this.#countCreation(scope);
    }
    return { command: this.#put(scope, known?.id ?? this.#deps.snowflakes.next(), body), fresh: known === undefined };
  }

  edit(scope: string, id: string, body: JsonObject): RegisteredCommand {
    const merged = { ...this.get(scope, id), ...body };
    checkCommand(merged);
    return this.#put(scope, id, merged);
  }

  delete(scope: string, id: string): void {
    const { name } = this.get(scope, id);
    this.#scope(scope).delete(id);
    this.#deps.history.record('command.changed', { by: 'delete', text: name });
  }

  /** Replaces all commands of the scope; a command with an existing name keeps its id. */
  replaceAll(scope: string, bodies: readonly JsonObject[]): readonly RegisteredCommand[] {
    const byType = Map.groupBy(bodies, (body) => body['type'] ?? 1);
    if ([...byType.values()].some(({ length }) => length > MAX_COMMANDS)) {
      throw tooManyCommands(MAX_COMMANDS);
    }
    for (const body of bodies) {
      checkCommand(body);
    }
    for (const { id, name, type } of this.list(scope)) {
      if (!bodies.some((body) => body['name'] === name && (body['type'] ?? 1) === type)) {
        this.delete(scope, id);
      }
    }
    for (const body of bodies) {
      this.create(scope, body);
    }
    return this.list(scope);
  }

  /** Deletions do not restore the daily limit. @throws DiscordFailure 30034 */
  #countCreation(scope: string): void {
    const now = this.#deps.clock.now().getTime();
    const recent = (this.#creations.get(scope) ?? []).filter((at) => now - at < DAY_MS);
    if (recent.length >= this.#deps.creationsADay) {
      throw tooManyCreations(this.#deps.creationsADay);
    }
    this.#creations.set(scope, [...recent, now]);
  }

  #put(scope: string, id: string, body: JsonObject): RegisteredCommand {
    const command: RegisteredCommand = {
      default_member_permissions: null,
      nsfw: false,
      name_localizations: null,
      description_localizations: null,
      options: [],
      ...body,
      id,
      application_id: this.#deps.applicationId,
      ...(scope === '' ? {} : { guild_id: scope }),
      name: body['name'] as string,
      type: (body['type'] ?? 1) as number,
      version: this.#deps.snowflakes.next(),
    };
    this.#scope(scope).set(id, command);
    this.#deps.history.record('command.changed', { by: 'put', text: command.name });
    return command;
  }

  #scope(scope: string): Map<string, RegisteredCommand> {
    let commands = this.#scopes.get(scope);
    if (commands === undefined) {
      commands = new Map();
      this.#scopes.set(scope, commands);
    }
    return commands;
  }
}
