import { sleep, type Timer } from '../../base/timer.ts';
import type { DiscordClient } from '../../clients/discord/client.ts';
import { DiscordError } from '../../clients/discord/errors.ts';
import { diffRegistrations, planSync, type Difference, type Step, type SyncPlan } from './registration-diff.ts';
import { CHAT_INPUT, type Registration } from './registration.ts';

/** The Discord requests for registering commands. */
export type RegistrationClient = Pick<
  DiscordClient,
  'createCommand' | 'deleteCommand' | 'editCommand' | 'listCommands'
>;

/** How long to wait if Discord asks for it, and whom to notify. */
export interface Patience {
  readonly timer: Timer;
  readonly signal: AbortSignal;
  /** Maximum total wait for one request, after which it fails. */
  readonly maxWaitMs: number;
  readonly onWait: (ms: number) => void;
}

/** The differences in one scope, and the steps to resolve them. */
export interface ReadPlan extends SyncPlan {
  readonly differences: readonly Difference[];
  /** All slash commands that are registered in the scope. */
  readonly live: readonly { readonly id: string; readonly name: string }[];
}

/**
 * Compares the registered commands of a scope (a server, or all if undefined) with the wanted ones.
 *
 * @param mayDelete returns whether an unwanted command may be deleted, by id
 */
export async function readPlan(
  client: Pick<RegistrationClient, 'listCommands'>,
  guildId: string | undefined,
  wanted: readonly Registration[],
  mayDelete: (live: ReadPlan['live']) => (id: string) => boolean,
): Promise<ReadPlan> {
  const registered = await client.listCommands(guildId);
  const live = registered.filter(({ type }) => (type as number) === CHAT_INPUT);
  const differences = diffRegistrations(wanted, registered);
  return { ...planSync(differences, live.length, mayDelete(live)), differences, live };
}

/** Carries out one step. @returns Discord's id of a new command */
export async function applyStep(
  client: RegistrationClient,
  guildId: string | undefined,
  step: Step,
): Promise<string | undefined> {
  switch (step.kind) {
    case 'create':
      return (await client.createCommand(guildId, step.wanted as Parameters<DiscordClient['createCommand']>[1])).id;
    case 'change': {
      const { description, options } = step.wanted;
      await client.editCommand(guildId, step.id, { description, options } as Parameters<
        DiscordClient['editCommand']
      >[2]);
      return undefined;
    }
    case 'foreign':
      await client.deleteCommand(guildId, step.id);
      return undefined;
  }
}

/** Retries a request while Discord asks to wait: creating many commands at once exceeds its rate limits. */
export async function patiently<T>({ timer, signal, maxWaitMs, onWait }: Patience, work: () => Promise<T>): Promise<T> {
  let waitedMs = 0;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const limited = error instanceof DiscordError && error.code === 'discord.rate_limited';
      const waitMs = limited ? error.retryAfterMs : undefined;
      if (waitMs === undefined || waitedMs + waitMs > maxWaitMs) {
        throw error;
      }
      onWait(waitMs);
      await sleep(timer, waitMs, signal);
      waitedMs += waitMs;
    }
  }
}
