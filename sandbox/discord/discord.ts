import { systemClock, type Clock } from '../../src/base/clock.ts';
import { systemTimer, type Timer } from '../../src/base/timer.ts';
import { seededRandom } from '../cluster/random.ts';
import { createSimulationServer, listen, stopListening } from '../simulation-server.ts';
import { answerAdmin } from './admin.ts';
import { Control } from './control.ts';
import { answer } from './exchange.ts';
import { RequestFaults } from './faults.ts';
import type { History } from './history.ts';
import type { Person } from './interaction-payload.ts';
import { ANSWER_MS } from './interactions.ts';
import type { SimulatedMessage } from './message.ts';
import { People } from './people.ts';
import { RateLimits } from './rate-limits.ts';
import { createSigner, type Signer } from './signer.ts';
import { createWorld, type World } from './world.ts';

export interface SimulatedDiscordOptions {
  /** Port on 127.0.0.1; a free one if 0 or unset. */
  readonly port?: number;
  readonly applicationId?: string;
  readonly botToken?: string;
  readonly guildId?: string;
  /** The first is the default channel of people's actions. */
  readonly channelIds?: readonly [string, ...string[]];
  /** The default actor. */
  readonly person?: Person;
  readonly clock?: Clock;
  /** Seed of tokens and fault probabilities. */
  readonly seed?: number;
  /** How long facteur has to answer an interaction, in milliseconds. */
  readonly answerMs?: number;
  /** Measures that time. */
  readonly timer?: Timer;
  /** How many commands may be created in one place in 24 hours. */
  readonly creationsADay?: number;
  /** Whether requests over Discord's rate limits are refused. */
  readonly enforcesLimits?: boolean;
}

/** A simulated Discord over real HTTP: its API for the bot, and the people who use the bot. */
export interface SimulatedDiscord {
  /** For `discord.api_base_url`. */
  readonly apiBaseUrl: string;
  /** For `discord.public_key`. */
  readonly publicKey: string;
  readonly applicationId: string;
  readonly botToken: string;
  readonly guildId: string;
  readonly channelId: string;
  readonly port: number;
  /** Signs requests that a test sends itself. */
  readonly signer: Signer;
  readonly people: People;
  readonly faults: Control;
  readonly history: History;
  /** Every message with all its versions, oldest first. */
  messages(channelId?: string): readonly SimulatedMessage[];
  /** What people can run: the commands of the server, and the global ones. */
  commands(): ReturnType<World['commands']['list']>;
  /** Counters and rules, the same as `GET /__sim/state`. */
  state(): Readonly<Record<string, unknown>>;
  /** Stops Discord: connections break and new ones are refused. */
  disconnect(): Promise<void>;
  /** Restarts it on the same port. */
  reconnect(): Promise<void>;
  close(): Promise<void>;
}

const DEFAULTS = {
  port: 0,
  applicationId: '100000000000000001',
  // Not a secret: it is only valid for this simulation.
  botToken: 'simulated-bot-token',
  guildId: '300000000000000001',
  channelIds: ['400000000000000001'],
  person: { id: '200000000000000001', username: 'ada', globalName: 'Ada', roles: [] },
  clock: systemClock,
  seed: 1,
  answerMs: ANSWER_MS,
  timer: systemTimer,
  creationsADay: 200,
  enforcesLimits: true,
} satisfies Required<SimulatedDiscordOptions>;

/** Starts a simulated Discord, entirely in memory. */
export async function startSimulatedDiscord(options: SimulatedDiscordOptions = {}): Promise<SimulatedDiscord> {
  const settings: Required<SimulatedDiscordOptions> = { ...DEFAULTS, ...options };
  const { clock, applicationId, botToken, guildId, channelIds, person, answerMs, timer, creationsADay } = settings;
  const random = seededRandom(settings.seed);
  const world = createWorld({ applicationId, botToken, guildId, clock, random, channelIds, creationsADay });
  const signer = createSigner();
  const [channelId] = channelIds;
  const people = new People({ world, signer, person, place: { guildId, channelId }, answerMs, timer });
  const faults = new RequestFaults(random);
  const control = new Control(world, faults, people);
  const requests = new Map<string, number>();
  const state = (): Readonly<Record<string, unknown>> => ({
    identity: { applicationId, publicKey: signer.publicKey, guildId, channelId },
    messages: world.messages.list().length,
    requests: Object.fromEntries(requests),
    rules: faults.list(),
  });
  const count = (route: string): void => {
    requests.set(route, (requests.get(route) ?? 0) + 1);
  };
  const deps = { world, limits: new RateLimits(clock, settings.enforcesLimits), faults, count, control, state };
  const server = createSimulationServer(
    (request, response) => answerAdmin(request, response, deps),
    (request, response) => answer(request, response, deps),
  );
  const port = await listen(server, settings.port);
  return {
    ...facade(world, people, control),
    apiBaseUrl: `http://127.0.0.1:${port}/api`,
    publicKey: signer.publicKey,
    channelId,
    port,
    signer,
    state,
    disconnect: () => stopListening(server),
    reconnect: async () => {
      await listen(server, port);
    },
    close: async () => {
      await people.close();
      await stopListening(server);
    },
  };
}

function facade(world: World, people: People, control: Control) {
  const { applicationId, botToken, guildId, history, messages, commands } = world;
  return {
    applicationId,
    botToken,
    guildId,
    history,
    people,
    faults: control,
    messages: (channelId?: string) => messages.list(channelId),
    commands: () => [...commands.list(guildId), ...commands.list('')],
  };
}
