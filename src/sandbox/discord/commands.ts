import type { JsonObject } from '../cluster/objects.ts';
import { checkCommand } from './command-rules.ts';
import { tooManyCommands, unknown } from './discord-failure.ts';
import type { History } from './history.ts';
import type { Snowflakes } from './snowflake.ts';

const MAX_COMMANDS = 100;

/** A registered command as the API shows it. */
export type RegisteredCommand = JsonObject & { readonly id: string; readonly name: string; readonly type: number };

/** The application commands, global ones under the scope `''`, others under their guild's id. */
export class Commands {
  readonly #applicationId: string;
  readonly #snowflakes: Snowflakes;
  readonly #history: History;
  readonly #scopes = new Map<string, Map<string, RegisteredCommand>>();

  constructor(applicationId: string, snowflakes: Snowflakes, history: History) {
    this.#applicationId = applicationId;
    this.#snowflakes = snowflakes;
    this.#history = history;
  }

  list(scope: string): readonly RegisteredCommand[] {
    return [...this.#scope(scope).values()];
  }

  /** The command that a person in this guild would get for a name: the guild's own before the global one. */
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
    const known = this.list(scope).find((command) => command.name === body['name'] && command.type === type);
    if (known === undefined && this.#scope(scope).size >= MAX_COMMANDS) {
      throw tooManyCommands(MAX_COMMANDS);
    }
    return { command: this.#put(scope, known?.id ?? this.#snowflakes.next(), body), fresh: known === undefined };
  }

  edit(scope: string, id: string, body: JsonObject): RegisteredCommand {
    const merged = { ...this.get(scope, id), ...body };
    checkCommand(merged);
    return this.#put(scope, id, merged);
  }

  delete(scope: string, id: string): void {
    const { name } = this.get(scope, id);
    this.#scope(scope).delete(id);
    this.#history.record('command.changed', { by: 'delete', text: name });
  }

  /** Replaces all commands of the scope; what has the name of an old one keeps its id. */
  replaceAll(scope: string, bodies: readonly JsonObject[]): readonly RegisteredCommand[] {
    if (bodies.length > MAX_COMMANDS) {
      throw tooManyCommands(MAX_COMMANDS);
    }
    for (const body of bodies) {
      checkCommand(body);
    }
    const kept = new Set(bodies.map((body) => this.create(scope, body).command.id));
    for (const { id } of this.list(scope)) {
      if (!kept.has(id)) {
        this.delete(scope, id);
      }
    }
    return this.list(scope);
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
      application_id: this.#applicationId,
      ...(scope === '' ? {} : { guild_id: scope }),
      name: body['name'] as string,
      type: (body['type'] ?? 1) as number,
      version: this.#snowflakes.next(),
    };
    this.#scope(scope).set(id, command);
    this.#history.record('command.changed', { by: 'put', text: command.name });
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
