import { ChannelView } from '../../sandbox/play/channel.ts';
import { Session, wordsOf } from '../../sandbox/play/session.ts';
import { systemClock } from '../base/clock.ts';
import { nearest } from '../config/nearest.ts';
import { rolesOf } from './sandbox-config.ts';
import type { ServiceProcess } from './sandbox-service.ts';
import type { World } from './sandbox-world.ts';

/** Polling interval of the channel, in milliseconds. */
const LOOK_MS = 50;

/** Plays the lines that a person types until they quit, the input ends, or the sandbox is stopped. */
export async function playLines(world: World, service: ServiceProcess): Promise<void> {
  const { io, cluster, discord, failures, colour, config } = world;
  const prompt = await io.openPrompt?.('facteur> ', (typed) =>
    wordsOf(discord).filter((word) => word.startsWith(typed)),
  );
  if (prompt === undefined) {
    return;
  }
  const print = (text: string): void => prompt.print(text);
  const channel = new ChannelView({ discord, print, clock: systemClock, colour });
  const ended = new AbortController();
  const signal = AbortSignal.any([io.signal, ended.signal]);
  const session = new Session({
    discord,
    cluster,
    failures,
    channel,
    print,
    signal,
    nearest,
    roles: rolesOf(config),
    kill: () => service.kill(),
    revive: () => service.revive(),
  });
  channel.skip();
  const looking = setInterval(() => channel.show(), LOOK_MS);
  io.signal.addEventListener('abort', () => prompt.close(), { once: true });
  print('\nNow it is your turn: type help, a command such as "plan Ship it", or quit');
  try {
    for await (const line of prompt) {
      if (!(await session.play(line))) {
        break;
      }
    }
  } finally {
    ended.abort();
    clearInterval(looking);
    prompt.close();
    await session.close();
  }
}
