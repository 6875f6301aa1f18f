import { hash } from 'node:crypto';
import type { ObservableResult } from '@opentelemetry/api';
import { errorMessage } from '../../base/errors.ts';
import type { LogFields, Logger } from '../../base/logger.ts';
import { counter, gauge } from '../../base/metrics.ts';
import type { Timer } from '../../base/timer.ts';
import { Worker } from '../../base/worker.ts';
import { DiscordError } from '../../clients/discord/errors.ts';
import type { Database } from '../../clients/postgres/database.ts';
import type { CommandCatalogue, CommandSnapshot } from '../../dispatch/command-catalogue.ts';
import { placeOf } from '../../dispatch/command-catalogue.ts';
import {
  findCommandSync,
  forgetCommand,
  forgetCommandSyncs,
  recordCommand,
  recordCommandSync,
  registeredCommands,
  registeredGuilds,
  type CommandScope,
} from '../../ledger/registered-commands.ts';
import type { Step } from './registration-diff.ts';
import {
  applyStep,
  patiently,
  readPlan,
  type Patience,
  type ReadPlan,
  type RegistrationClient,
} from './registration-sync.ts';
import { registrationsIn, type Registration } from './registration.ts';

interface RegistrarTimings {
  /** How long the commands must stay unchanged before they are registered. */
  readonly settleMs: number;
  /** Minimum time between two syncs. */
  readonly spacingMs: number;
  /** The registration is checked this often even if nothing has changed. */
  readonly checkMs: number;
  /** The delay after Discord accepts no more new commands on a day. */
  readonly tomorrowMs: number;
}

const HOUR_MS = 3_600_000;
const DEFAULT_TIMINGS: RegistrarTimings = {
  settleMs: 5000,
  spacingMs: 60_000,
  checkMs: 24 * HOUR_MS,
  tomorrowMs: 24 * HOUR_MS,
};
/** Discord's error code for the daily limit of new commands. */
const DAILY_LIMIT = 30_034;
/** The delay after a failed sync, and before a command without room is tried again. */
const FAILURE_DELAY_MS = 60_000;

interface CommandRegistrarDeps {
  readonly db: Database;
  readonly discord: RegistrationClient;
  readonly catalogue: Pick<CommandCatalogue, 'rules' | 'onChange'>;
  readonly applicationId: string;
  /** The only Discord server, if one is configured. */
  readonly guildId: string | undefined;
  readonly timer: Timer;
  readonly logger: Logger;
  readonly timings?: Partial<RegistrarTimings>;
}

/**
 * Keeps Discord's registration in line with the catalog while it runs, in one process at a time, under a lease. It sends
 * nothing while nothing has changed, deletes only what this facteur registered, and never removes a wanted command to make room
 * for another.
 */
export class CommandRegistrar {
  readonly #deps: CommandRegistrarDeps;
  readonly #timings: RegistrarTimings;
  readonly #syncs = counter(
    'facteur_command_syncs_total',
    ['complete', 'partial', 'failed'].map((outcome) => ({ outcome })),
  );

  readonly #gauge = gauge('facteur_registered_commands');
  /** The number of registered commands by server. */
  readonly #registered = new Map<string, number>();

  constructor(deps: CommandRegistrarDeps) {
    this.#deps = deps;
    this.#timings = { ...DEFAULT_TIMINGS, ...deps.timings };
  }

  readonly #observe = (result: ObservableResult): void => {
    result.observe([...this.#registered.values()].reduce((sum, count) => sum + count, 0));
  };

  /** Works until the signal fires, and resolves when everything has stopped. */
  async run(signal: AbortSignal): Promise<void> {
    let spacingMs = 0;
    const worker = new Worker({
      name: 'register commands',
      logger: this.#deps.logger,
      failureDelayMs: FAILURE_DELAY_MS,
      spacingMs: () => spacingMs,
      pass: async () => {
        const { dueInMs, hasAsked } = await this.#pass(signal);
        spacingMs = hasAsked ? this.#timings.spacingMs : 0;
        return dueInMs;
      },
    });
    const settled = new Settling(this.#timings, () => worker.nudge());
    const unsubscribe = this.#deps.catalogue.onChange(() => settled.changed());
    this.#gauge.addCallback(this.#observe);
    worker.start();
    await new Promise<void>((resolve) => {
      if (signal.aborted) {
        resolve();
      }
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    unsubscribe();
    this.#gauge.removeCallback(this.#observe);
    settled.stop();
    await worker.stop();
  }

  async #pass(signal: AbortSignal): Promise<Outcome> {
    const snapshot = this.#deps.catalogue.rules();
    if (snapshot.incomplete === true) {
      // Unknown commands would be deleted. The catalog announces when they are known.
      return { dueInMs: Infinity, hasAsked: false };
    }
    const { db, applicationId, guildId = '' } = this.#deps;
    const known = await registeredGuilds(db, applicationId);
    const guilds = new Set([guildId, ...known, ...(guildId === '' ? guildsOf(snapshot) : [])]);
    await forgetCommandSyncs(db, applicationId, [...guilds]);
    let outcome: Outcome = { dueInMs: Infinity, hasAsked: false };
    const failures: unknown[] = [];
    for (const guild of guilds) {
      try {
        const { dueInMs, hasAsked } = await this.#syncScope({ applicationId, guildId: guild }, snapshot, signal);
        outcome = { dueInMs: Math.min(outcome.dueInMs, dueInMs), hasAsked: outcome.hasAsked || hasAsked };
      } catch (error) {
        signal.throwIfAborted();
        // The other servers still get their commands.
        failures.push(error);
      }
    }
    if (failures.length > 0) {
      throw failures[0];
    }
    return outcome;
  }

  async #syncScope(scope: CommandScope, snapshot: CommandSnapshot, signal: AbortSignal): Promise<Outcome> {
    const { db, logger, guildId: onlyGuild } = this.#deps;
    const guildId = scope.guildId === '' ? undefined : scope.guildId;
    // If a server is configured, commands elsewhere are unusable or duplicates.
    const isPlace = onlyGuild === undefined || guildId === onlyGuild;
    const wanted = isPlace ? registrationsIn(snapshot.commands, guildId, guildId === onlyGuild) : [];
    const sha256 = hash('sha256', JSON.stringify(wanted));
    const last = await findCommandSync(db, scope);
    const count = (problem: string): void => {
      this.#registered.set(scope.guildId, wanted.length - (problem === '' ? 0 : problem.split('; ').length));
    };
    if (last?.sha256 === sha256 && last.dueInMs > 0) {
      count(last.problem);
      logger.debug({ guildId: scope.guildId }, 'registered commands have not changed');
      return { dueInMs: last.dueInMs, hasAsked: false };
    }
    if (!isPlace) {
      const fields = { guildId: scope.guildId, configuredGuildId: onlyGuild };
      logger.warn(fields, 'removing the commands of another place: all processes need the same discord.guild_id');
    }
    try {
      const synced = await this.#syncIfAllowed(scope, wanted, signal);
      const { problem, dueInMs } = synced;
      await recordCommandSync(db, scope, { sha256, dueInMs, problem });
      count(problem);
      this.#report({ guildId: scope.guildId, commands: wanted.length }, synced);
      return { dueInMs, hasAsked: true };
    } catch (error) {
      this.#syncs.add(1, { outcome: 'failed' });
      throw error;
    }
  }

  #report(fields: LogFields, { problem, changes, refusal = problem }: Synced): void {
    this.#syncs.add(1, { outcome: refusal === '' ? 'complete' : 'partial' });
    const { logger } = this.#deps;
    if (refusal === '') {
      logger.info({ ...fields, changes }, 'commands registered');
    } else {
      logger.warn({ ...fields, changes, problem: refusal }, 'not all commands could be registered');
    }
  }

  /** A template may name any server, even one without the bot. */
  async #syncIfAllowed(scope: CommandScope, wanted: readonly Registration[], signal: AbortSignal): Promise<Synced> {
    try {
      return await this.#sync(scope, wanted, signal);
    } catch (error) {
      if (scope.guildId === (this.#deps.guildId ?? '')) {
        throw error;
      }
      const { message } = refusalOf(error);
      const problem = wanted.map(({ name }) => `/${name}: ${message}`).join('; ');
      return { problem, dueInMs: FAILURE_DELAY_MS * 60, changes: 0, refusal: problem || message };
    }
  }

  async #sync(scope: CommandScope, wanted: readonly Registration[], signal: AbortSignal): Promise<Synced> {
    const { db, discord, timer, logger } = this.#deps;
    const { checkMs, tomorrowMs } = this.#timings;
    const guildId = scope.guildId === '' ? undefined : scope.guildId;
    const patience: Patience = {
      timer,
      signal,
      maxWaitMs: Infinity,
      onWait: (ms) => logger.info({ guildId: scope.guildId, waitMs: ms }, 'Discord asks to wait'),
    };
    const own = new Map((await registeredCommands(db, scope)).map(({ name, discordId }) => [name, discordId]));
    const plan = await patiently(patience, () => readPlan(discord, guildId, wanted, (live) => ownIds(live, own)));
    await this.#settleRecords(scope, plan, own);
    const problems = plan.noRoom.map(({ name }) => `/${name}: Discord takes only 100 commands`);
    let isFull = false;
    let changes = 0;
    for (const step of plan.steps) {
      signal.throwIfAborted();
      if (step.kind === 'create' && isFull) {
        problems.push(`/${step.name}: Discord takes no more new commands today`);
        continue;
      }
      try {
        await this.#carryOut(step, { scope, guildId, patience });
        changes += 1;
      } catch (error) {
        const refusal = refusalOf(error);
        isFull ||= refusal.discordCode === DAILY_LIMIT;
        problems.push(`/${step.name}: ${refusal.message}`);
      }
    }
    const retryMs = isFull ? tomorrowMs : FAILURE_DELAY_MS * 60;
    return { problem: problems.join('; '), dueInMs: problems.length === 0 ? checkMs : retryMs, changes };
  }

  /** Resolves what a crash left open, and what others have deleted. */
  async #settleRecords(scope: CommandScope, { live }: ReadPlan, own: ReadonlyMap<string, string>): Promise<void> {
    for (const [name, discordId] of own) {
      const found = live.find((one) => one.name === name);
      if (found === undefined) {
        await forgetCommand(this.#deps.db, scope, name);
      } else if (discordId === '') {
        await recordCommand(this.#deps.db, scope, { name, discordId: found.id, origin: '' });
      } else if (discordId !== found.id) {
        // Our command was deleted, and somebody else's has its name.
        await forgetCommand(this.#deps.db, scope, name);
      }
    }
  }

  async #carryOut(
    step: Step,
    {
      scope,
      guildId,
      patience,
    }: { readonly scope: CommandScope; readonly guildId: string | undefined; readonly patience: Patience },
  ): Promise<void> {
    const { db, discord, catalogue } = this.#deps;
    const { name } = step;
    const origin = step.kind === 'create' ? originOf(catalogue.rules(), name) : '';
    if (step.kind === 'create') {
      await recordCommand(db, scope, { name, discordId: '', origin });
    }
    const discordId = await patiently(patience, () => applyStep(discord, guildId, step));
    if (discordId !== undefined) {
      await recordCommand(db, scope, { name, discordId, origin });
    } else if (step.kind === 'foreign') {
      await forgetCommand(db, scope, name);
    }
  }
}

interface Outcome {
  readonly dueInMs: number;
  /** Whether any request was sent to Discord. */
  readonly hasAsked: boolean;
}

interface Synced {
  readonly problem: string;
  readonly dueInMs: number;
  readonly changes: number;
  /** Why nothing could be done, even if no command is wanted any longer. */
  readonly refusal?: string;
}

/** Waits until changes have stopped for a moment, but no longer than the spacing of syncs. */
class Settling {
  readonly #timings: Pick<RegistrarTimings, 'settleMs' | 'spacingMs'>;
  readonly #onSettled: () => void;
  #timer: NodeJS.Timeout | undefined;
  #firstAt: number | undefined;

  constructor(timings: Pick<RegistrarTimings, 'settleMs' | 'spacingMs'>, onSettled: () => void) {
    this.#timings = timings;
    this.#onSettled = onSettled;
  }

  changed(): void {
    const now = performance.now();
    this.#firstAt ??= now;
    clearTimeout(this.#timer);
    const left = this.#firstAt + this.#timings.spacingMs - now;
    this.#timer = setTimeout(
      () => {
        this.#firstAt = undefined;
        this.#onSettled();
      },
      Math.max(0, Math.min(this.#timings.settleMs, left)),
    );
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** The servers to which templates limit their commands. */
function guildsOf({ commands }: CommandSnapshot): readonly string[] {
  return Object.values(commands).flatMap(({ guilds = [] }) => guilds);
}

/** By id if it is known: somebody else's command may have the name of one of ours by now. */
function ownIds(live: ReadPlan['live'], own: ReadonlyMap<string, string>): (id: string) => boolean {
  const ids = new Set(live.filter(({ id, name }) => [id, ''].includes(own.get(name) ?? '-')).map(({ id }) => id));
  return (id) => ids.has(id);
}

function originOf({ listed }: CommandSnapshot, top: string): string {
  const found = listed.find(({ name, problems }) => problems.length === 0 && name.split(' ')[0] === top);
  const template = found?.definition.template;
  return template === undefined ? 'configuration' : `template ${placeOf(template)}`;
}

/** A command that Discord refuses must not block the others. @throws errors that are worth a retry */
function refusalOf(error: unknown): DiscordError {
  if (error instanceof DiscordError && !error.retryable && error.code !== 'discord.unauthorized') {
    return error;
  }
  throw error instanceof Error ? error : new Error(errorMessage(error));
}
