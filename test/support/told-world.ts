import { Secret } from '../../src/base/secret.ts';
import { createLogger, silentLogger } from '../../src/base/logger.ts';
import { UrgentWork } from '../../src/base/urgent-work.ts';
import { createDiscordClient } from '../../src/clients/discord/client.ts';
import type { Database } from '../../src/clients/postgres/database.ts';
import { MemorySessions } from '../../src/clients/sessions/memory-sessions.ts';
import type { Sessions } from '../../src/clients/sessions/sessions.ts';
import { deliveryLabel } from '../../src/domain/workflow-name.ts';
import { createAnnouncements, MESSAGE_CHANNEL } from '../../src/ledger/announcements.ts';
import { observeWorkflows, type Observation } from '../../src/ledger/observe-workflows.ts';
import { Notifier } from '../../src/notify/notifier.ts';
import type { MessageVersion, SimulatedMessage } from '../../src/sandbox/discord/message.ts';
import { startDiscordWorld, type DiscordWorld } from './discord.ts';
import { recordToldRun, type ToldRun } from './notify.ts';

/** The simulated Discord, sessions, and notifiers on one ledger, with a clock that only the test turns forward. */
export interface ToldWorld extends DiscordWorld {
  readonly sessions: Sessions;
  /** Every log line of every notifier. */
  readonly log: readonly string[];
  /** Turns the clock of Discord, sessions and notifiers forward; the database's goes on as it does. */
  advance(ms: number): void;
  startNotifier(options?: { sessions?: Sessions; uiUrl?: string }): Promise<RunningNotifier>;
  /** Somebody runs `/plan`: facteur has recorded it and deferred its answer. */
  plan(options?: { ephemeral?: boolean; channelId?: string }): Promise<ToldRun>;
  /** What the follower would write. */
  observe(run: ToldRun, seen: Partial<Observation>): Promise<void>;
  /** Makes the run's message due at once, whatever it waits for. */
  dueNow(run: ToldRun): Promise<void>;
  /** What everybody does who has changed a run. */
  announce(): Promise<void>;
  /** The only message there is, deleted ones aside. */
  message(): SimulatedMessage;
  /** The newest version of {@link message}. */
  shown(): MessageVersion;
}

export interface RunningNotifier {
  readonly notifier: Notifier;
  stop(): Promise<void>;
}

export async function startToldWorld(db: Database): Promise<ToldWorld> {
  const offset = { ms: 0 };
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
  return {
    ...world,
    sessions,
    log,
    advance: (ms) => {
      offset.ms += ms;
    },
    startNotifier: async (options = {}) => {
      const client = createDiscordClient({
        apiBaseUrl: discord.apiBaseUrl,
        applicationId: discord.applicationId,
        botToken: new Secret(discord.botToken),
        version: '0.0.0',
        timeoutMs: 2000,
      });
      const notifier = new Notifier({
        db,
        discord: client,
        sessions: options.sessions ?? sessions,
        clock,
        random: () => 0,
        logger: createLogger('debug', { write: (line) => log.push(line) }),
        uiUrl: options.uiUrl ?? 'https://argo.example.com',
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
    plan: async ({ ephemeral = false, channelId } = {}) => {
      world.endpoint.reply = { status: 200, body: { type: 5, data: ephemeral ? { flags: 64 } : {} } };
      await discord.people.command('plan', [], channelId === undefined ? {} : { channelId });
      const run = await recordInteraction(db, sessions, world.received.at(-1)?.body ?? '', ephemeral);
      await announcements.messagesDue();
      return run;
    },
    observe: async (run, seen) => {
      await observeWorkflows(db, [observation(run, seen)]);
      await announcements.messagesDue();
    },
    dueNow: async ({ runId }) => {
      const text =
        'UPDATE facteur.messages SET due_at = now(), not_before = now() WHERE run_id = $1 AND due_at IS NOT NULL';
      await db.query({ text, values: [runId] });
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
}

/** What the door does with an interaction: the run is recorded with its message, the token is kept. */
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

function observation(run: ToldRun, seen: Partial<Observation>): Observation {
  return {
    namespace: 'argo-workflows',
    name: run.name,
    uid: `uid-${run.runId}`,
    deliveryLabel: deliveryLabel(run.deliveryId),
    version: undefined,
    state: 'running',
    progress: '',
    reason: '',
    startedAt: undefined,
    finishedAt: undefined,
    resources: {},
    confirmed: true,
    ...seen,
  };
}
