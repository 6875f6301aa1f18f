import { onTestFinished } from 'vitest';
import type { SimulatedDiscord, SimulatedDiscordOptions } from '../../sandbox/discord/discord.ts';
import { startSimulatedDiscord } from '../../sandbox/discord/discord.ts';
import type { Exchange } from '../../sandbox/discord/people.ts';
import type { Json } from './cluster.ts';
import { TurnableTimer } from './turnable-timer.ts';
import { startFacteur, type Facteur, type FacteurOptions } from './facteur.ts';

export const ROLE = '500000000000000001';
export const OTHER_ROLE = '500000000000000002';

/** A simulated Discord that sends its interactions to a complete facteur. */
export interface DiscordDoor {
  readonly discord: SimulatedDiscord;
  readonly facteur: Facteur;
  /** The timer of both Discord's and facteur's timeouts. */
  readonly timer: TurnableTimer;
}

export interface DiscordDoorOptions extends FacteurOptions {
  readonly discord?: SimulatedDiscordOptions;
}

/** Both are closed when the test ends. */
export async function openDiscordDoor({
  discord: settings = {},
  timer = new TurnableTimer(),
  ...options
}: DiscordDoorOptions): Promise<DiscordDoor> {
  const discord = await startSimulatedDiscord({ timer, ...settings });
  onTestFinished(async () => discord.close());
  const facteur = await startFacteur({ ...options, timer, env: { ...discordEnv(discord), ...options.env } });
  discord.people.pointAt(`${facteur.url}/discord/interactions`);
  return { discord, facteur, timer };
}

/** The configuration of an operator for this Discord. */
export function discordEnv(discord: SimulatedDiscord): Record<string, string> {
  return {
    FACTEUR_DISCORD_API_BASE_URL: discord.apiBaseUrl,
    FACTEUR_DISCORD_APPLICATION_ID: discord.applicationId,
    FACTEUR_DISCORD_BOT_TOKEN: discord.botToken,
    FACTEUR_DISCORD_PUBLIC_KEY: discord.publicKey,
    FACTEUR_DISCORD_GUILD_ID: discord.guildId,
  };
}

/** The text of an ephemeral answer; fails for any other answer. */
export function whispered(exchange: Exchange): string {
  const answer: Json = exchange.answer;
  if (exchange.outcome !== 'acknowledged' || answer.type !== 4 || answer.data.flags !== 64) {
    throw new Error(`not a whisper: ${JSON.stringify(exchange)}`);
  }
  return answer.data.content;
}

/** The parameters of a workflow that was created. */
export function parametersOf(workflow: Json): Record<string, string> {
  const list: readonly { name: string; value: string }[] = workflow.spec.arguments.parameters;
  return Object.fromEntries(list.map(({ name, value }) => [name, value]));
}
