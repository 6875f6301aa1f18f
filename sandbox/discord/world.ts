import type { Clock } from '../../src/base/clock.ts';
import { Channels } from './channels.ts';
import { Commands } from './commands.ts';
import { History } from './history.ts';
import { Interactions } from './interactions.ts';
import { Messages } from './messages.ts';
import { Snowflakes } from './snowflake.ts';

/** The identities in the simulated Discord. */
interface Identity {
  readonly applicationId: string;
  readonly botToken: string;
  readonly guildId: string;
}

/** The whole state of the simulated Discord. */
export interface World extends Identity {
  readonly clock: Clock;
  readonly snowflakes: Snowflakes;
  readonly history: History;
  readonly channels: Channels;
  readonly messages: Messages;
  readonly interactions: Interactions;
  readonly commands: Commands;
}

interface WorldOptions extends Identity {
  readonly clock: Clock;
  readonly random: () => number;
  readonly channelIds: readonly string[];
  readonly creationsADay: number;
}

export function createWorld(options: WorldOptions): World {
  const { clock, random, applicationId, botToken, guildId } = options;
  const snowflakes = new Snowflakes(clock);
  const history = new History(clock);
  return {
    applicationId,
    botToken,
    guildId,
    clock,
    snowflakes,
    history,
    channels: new Channels(options.channelIds),
    messages: new Messages({ clock, snowflakes, history, applicationId }),
    interactions: new Interactions(clock, snowflakes, random),
    commands: new Commands({ applicationId, clock, snowflakes, history, creationsADay: options.creationsADay }),
  };
}
