import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { createLogger, silentLogger } from '../../src/base/logger.ts';
import { UrgentWork } from '../../src/base/urgent-work.ts';
import { createDiscordClient } from '../../src/clients/discord/client.ts';
import type { Database } from '../../src/clients/postgres/database.ts';
import { MemorySessions } from '../../src/clients/sessions/memory-sessions.ts';
import type { Sessions } from '../../src/clients/sessions/sessions.ts';
import { deliveryLabel } from '../../src/domain/workflow-name.ts';
import { createAnnouncements, MESSAGE_CHANNEL } from '../../src/ledger/due-work.ts';
import { observeWorkflows, type Observation } from '../../src/ledger/observe-workflows.ts';
import { Notifier } from '../../src/notify/notifier.ts';
import type { SimulatedMessage } from '../../sandbox/discord/message.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';
import { emptyLedger } from './ledger.ts';
import { turnableClock } from './database-clock.ts';
import { startDiscordWorld, type DiscordWorld } from './discord.ts';
import { letWait, recordToldRun, type ToldRun } from './notify.ts';
import { toldSteps, type ToldStage, type ToldSteps } from './told-steps.ts';
import { observation } from './observations.ts';

/** The simulated Discord, sessions, and notifiers on one ledger, with one clock that the test sets forward. */
export interface ToldWorld extends DiscordWorld, ToldStage, ToldSteps {
  readonly sessions: Sessions;
  startNotifier(options?: {
    sessions?: Pick<Sessions, 'tokenOf' | 'status'>;
    uiUrl?: string;
    timeoutMs?: number;
    maxActive?: number;
    /** How far its own clock is ahead of the others. */
    aheadMs?: number;
  }): Promise<RunningNotifier>;
  /** The only message that is not deleted. */
  message(): SimulatedMessage;
}

export interface RunningNotifier {
  readonly notifier: Notifier;
  stop(): Promise<void>;
}

/** A world per test, on a database per file, because tests change its clock. The ledger is empty at the start of a test. */
export function useToldWorld(): { readonly db: Database; readonly world: ToldWorld } {
  let database: TestDatabase | undefined;
  let world: ToldWorld | undefined;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database?.close());
  beforeEach(async () => {
    await emptyLedger(database!.db);
    world = await startToldWorld(database!.db);
  });
  afterEach(() => world?.close());
  return {
    get db() {
      return database!.db;
    },
    get world() {
      return world!;
    },
  };
}

async function startToldWorld(db: Database): Promise<ToldWorld> {
  const offset = { ms: 0 };
  const databaseClock = await turnableClock(db);
  const clock = { now: () => new Date(Date.now() + offset.ms) };
  const world = await startDiscordWorld({ clock });
  const { discord } = world;
  const sessions = new MemorySessions(clock);
  const log: string[] = [];
  const announcements = createAnnouncements(db, silentLogger);
  const running = new Set<RunningNotifier>();
  const present = (): SimulatedMessage[] => discord.messages().filter(({ deleted }) => !deleted);
  const message = (): SimulatedMessage => {
    const [only, ...others] = present();
    if (only === undefined || others.length > 0) {
      throw new Error(`there are ${present().length} messages`);
    }
    return only;
  };
  const stage = {
    ...world,
    sessions,
    log,
    advance: async (ms: number) => {
      offset.ms += ms;
      await databaseClock.setAhead(offset.ms);
      await announcements.messagesDue();
    },
    now: clock.now,
    startNotifier: async (options: Parameters<ToldWorld['startNotifier']>[0] = {}) => {
      const client = createDiscordClient({
        apiBaseUrl: discord.apiBaseUrl,
        applicationId: discord.applicationId,
        botToken: new Secret(discord.botToken),
        version: '0.0.0',
        ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      });
      const notifier = new Notifier({
        db,
        discord: client,
        sessions: options.sessions ?? sessions,
        clock: { now: () => new Date(clock.now().getTime() + (options.aheadMs ?? 0)) },
        random: () => 0,
        logger: createLogger('debug', { write: (line) => log.push(line) }),
        maxActive: options.maxActive,
        uiUrl: options.uiUrl ?? 'https://argo.example.com',
        reviewed: false,
        concurrency: 8,
        urgent: new UrgentWork(),
      });
      const subscription = await db.listen(MESSAGE_CHANNEL, () => notifier.nudge());
      notifier.start();
      const started: RunningNotifier = {
        notifier,
        stop: async () => {
          running.delete(started);
          await subscription.close();
          await notifier.stop();
          await client.close();
        },
      };
      running.add(started);
      return started;
    },
    plan: async ({ ephemeral = false, channelId, waits = false }: Parameters<ToldWorld['plan']>[0] = {}) => {
      world.endpoint.reply = { status: 200, body: { type: 5, data: ephemeral ? { flags: 64 } : {} } };
      await discord.people.command('plan', [], channelId === undefined ? {} : { channelId });
      const run = await recordInteraction(db, sessions, world.received.at(-1)?.body ?? '', ephemeral);
      await (waits ? letWait(db, run) : undefined);
      await announcements.messagesDue();
      return run;
    },
    observe: async (run: ToldRun, seen: Partial<Observation>) => {
      await observeWorkflows(db, [observationOf(run, seen)]);
      await announcements.messagesDue();
    },
    announce: () => announcements.messagesDue(),
    message,
    shown: () => {
      const latest = message().versions.at(-1);
      if (latest === undefined) {
        throw new Error('the message has no version');
      }
      return latest;
    },
    close: async () => {
      await Promise.all([...running].map((notifier) => notifier.stop()));
      await world.close();
    },
  };
  return { ...stage, ...toldSteps(db, stage) };
}

/** Handles an interaction like the door: records the run with its message, and keeps the token. */
export async function recordInteraction(
  db: Database,
  sessions: Sessions,
  body: string,
  ephemeral = false,
): Promise<ToldRun> {
  const { id, token, channel_id: channelId } = JSON.parse(body) as Record<string, string>;
  await sessions.keepToken(id ?? '', new Secret(token ?? ''));
  return recordToldRun(db, {
    deliveryId: id ?? '',
    channelId: channelId ?? '',
    message: { interactionId: id ?? '', ephemeral },
  });
}

function observationOf(run: ToldRun, seen: Partial<Observation>): Observation {
  return observation({
    namespace: 'argo-workflows',
    name: run.name,
    uid: `uid-${run.runId}`,
    deliveryLabel: deliveryLabel(run.deliveryId),
    confirmed: true,
    ...seen,
  });
}
