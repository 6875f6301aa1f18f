import { expect, onTestFinished, vi } from 'vitest';
import {
  startSimulatedDiscord,
  type SimulatedDiscord,
  type SimulatedDiscordOptions,
} from '../../sandbox/discord/discord.ts';
import { createLogger } from '../../src/base/logger.ts';
import { Secret } from '../../src/base/secret.ts';
import type { Timer } from '../../src/base/timer.ts';
import { createDiscordClient } from '../../src/clients/discord/client.ts';
import type { Database } from '../../src/clients/postgres/database.ts';
import { CommandCatalogue } from '../../src/dispatch/command-catalogue.ts';
import type { CommandDefinition } from '../../src/domain/command.ts';
import { readTemplateCommand } from '../../src/domain/template-command.ts';
import { CommandRegistrar } from '../../src/entry/discord/command-registrar.ts';
import type { Json } from './cluster.ts';
import { database } from './ledger-fixture.ts';
import { instantTimer } from './instant-timer.ts';

const ROLE = '500000000000000001';
const PLAN: CommandDefinition = {
  ...{ description: 'Plan', options: [], parameters: {}, ephemeral: false, action: 'dispatch', configured: true },
};

type Timings = NonNullable<ConstructorParameters<typeof CommandRegistrar>[0]['timings']>;
const MOMENTS: Timings = { settleMs: 20, spacingMs: 60 };

/** Discord and facteur's waits share one clock. The registrar's own timings are short, unless the test sets others. */
export class RegistrationWorld {
  readonly discord: SimulatedDiscord;
  readonly catalogue: CommandCatalogue;
  readonly log: string[] = [];
  readonly #time: { ms: number };
  readonly #timings: Timings;

  private constructor(discord: SimulatedDiscord, time: { ms: number }, timings: Timings) {
    this.discord = discord;
    this.#time = time;
    this.#timings = timings;
    this.catalogue = new CommandCatalogue({ commands: { plan: PLAN }, roleMap: {} }, this.#logger(), true);
  }

  static async open(options: SimulatedDiscordOptions = {}, timings = MOMENTS): Promise<RegistrationWorld> {
    const time = { ms: Date.parse('2026-11-21T12:00:00Z') };
    const discord = await startSimulatedDiscord({ clock: { now: () => new Date(time.ms) }, ...options });
    onTestFinished(() => discord.close());
    return new RegistrationWorld(discord, time, timings);
  }

  /** Lets time pass for Discord and for its client. */
  advance(ms: number): void {
    this.#time.ms += ms;
  }

  #logger() {
    return createLogger('debug', { write: (line) => this.log.push(line) });
  }

  /** Applies templates with these commands. The version distinguishes changes. */
  apply(names: readonly string[], version = 1, guilds: Readonly<Record<string, string>> = {}): void {
    const templates = names.map((name) => {
      const annotations = {
        'facteur.proompteng.ai/command': name,
        'facteur.proompteng.ai/roles': ROLE,
        'facteur.proompteng.ai/description': `Version ${version}`,
        ...(guilds[name] === undefined ? {} : { 'facteur.proompteng.ai/guilds': guilds[name] }),
      };
      const metadata = {
        name: name.replaceAll(' ', '-'),
        namespace: 'argo',
        uid: name,
        resourceVersion: '1',
        annotations,
      };
      const rules = { parameters: {}, roleMap: {}, defaultRoles: [], serviceAccounts: [] };
      return readTemplateCommand({ metadata, spec: { entrypoint: 'main' } }, rules)!;
    });
    this.catalogue.replace(templates, true);
  }

  /** Starts a process that registers. @returns a function that stops it like SIGTERM */
  start(
    applicationId = this.discord.applicationId,
    { guildId, db = database.db }: { readonly guildId?: string; readonly db?: Database } = this.discord,
  ): () => Promise<void> {
    const timer: Timer = { ...instantTimer((ms) => this.advance(ms)), elapsedMs: () => this.#time.ms };
    const client = createDiscordClient({
      apiBaseUrl: this.discord.apiBaseUrl,
      applicationId,
      botToken: new Secret(this.discord.botToken),
      version: 'test',
      elapsedMs: () => timer.elapsedMs(),
    });
    const registrar = new CommandRegistrar({
      ...{ db, discord: client, catalogue: this.catalogue, applicationId, guildId },
      ...{ timer, logger: this.#logger(), timings: this.#timings },
    });
    const stop = new AbortController();
    const done = registrar.run(stop.signal);
    const close = async (): Promise<void> => {
      stop.abort();
      await done;
      await client.close();
    };
    let closed: Promise<void> | undefined;
    const end = (): Promise<void> => (closed ??= close());
    onTestFinished(end);
    return end;
  }

  /** Registers commands as another program. */
  async others(names: readonly string[]): Promise<void> {
    for (const [index, name] of names.entries()) {
      await this.api('POST', { name, description: `Theirs ${index}` });
    }
  }

  async api(method: string, body?: object, id = ''): Promise<Json> {
    const { apiBaseUrl, applicationId, guildId, botToken } = this.discord;
    const response = await fetch(
      `${apiBaseUrl}/v10/applications/${applicationId}/guilds/${guildId}/commands${id === '' || id.startsWith('?') ? id : `/${id}`}`,
      {
        method,
        headers: {
          authorization: `Bot ${botToken}`,
          'user-agent': 'DiscordBot (https://example.test, 1.0)',
          'content-type': 'application/json',
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
    );
    return response.status === 204 ? undefined : response.json();
  }

  async names(): Promise<readonly string[]> {
    return ((await this.api('GET')) as Json[]).map(({ name }) => name).toSorted();
  }

  /** The changes in order: `put deploy`, `delete deploy`. */
  changes(): readonly string[] {
    return this.discord.history.entries
      .filter(({ kind }) => kind === 'command.changed')
      .map(({ by, text }) => `${by} ${text}`);
  }

  /** How often the registered commands were read. */
  reads(): number {
    return (this.discord.state()['requests'] as Record<string, number>)['command.list'] ?? 0;
  }

  synced(): number {
    return this.log.filter((line) => /commands registered|not all commands/.test(line)).length;
  }
}

/** Waits until Discord has exactly these commands. */
export async function expectNames(world: RegistrationWorld, expected: readonly string[]): Promise<void> {
  await expect.poll(() => world.names(), { timeout: 20_000 }).toEqual(expected.toSorted());
}

/** Waits for this many syncs, complete or not. */
export async function expectSynced(world: RegistrationWorld, count: number): Promise<void> {
  await vi.waitFor(() => expect(world.synced()).toBeGreaterThanOrEqual(count), 20_000);
}
