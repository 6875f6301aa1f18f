import { setTimeout } from 'node:timers/promises';
import type { AppContext } from './app-context.ts';
import { backoffMs } from './base/backoff.ts';
import { errorMessage, FacteurError } from './base/errors.ts';
import { UrgentWork } from './base/urgent-work.ts';
import { Worker } from './base/worker.ts';
import type { ArgoClient } from './clients/argo/workflows.ts';
import type { Database } from './clients/postgres/database.ts';
import { loadMigrations } from './clients/postgres/load-migrations.ts';
import { migrate } from './clients/postgres/migrate.ts';
import { openDatabase } from './clients/postgres/open-database.ts';
import type { DiscordClient } from './clients/discord/client.ts';
import type { Sessions } from './clients/sessions/sessions.ts';
import type { Config } from './config/config.ts';
import { createCommandMetrics, type CommandMetrics } from './dispatch/command-metrics.ts';
import { createDispatch, type Dispatch, type DispatchDeps } from './dispatch/dispatch.ts';
import { observeDispatch } from './dispatch/observed-dispatch.ts';
import { SWEEP_MS } from './follow/deps.ts';
import { Follower, type FollowerDeps } from './follow/follower.ts';
import { dueWork, type DueWork } from './ledger/due-work.ts';
import { createAnnouncements, MESSAGE_CHANNEL, SUBMIT_CHANNEL } from './ledger/announcements.ts';
import { Notifier } from './notify/notifier.ts';
import { isFinished } from './domain/run-state.ts';
import type { Observed } from './ledger/observe-workflows.ts';
import type { Role } from './roles.ts';
import { Submitter, type SubmitterDeps } from './submit/submitter.ts';

/** What exists once the database is reachable and migrated. */
export interface Core {
  readonly db: Database;
  readonly dispatch: Dispatch;
  /** What people in a chat wait for. */
  readonly urgent: UrgentWork;
  /** Begins the work of the roles. */
  start(): Promise<void>;
  /** Ends it: nothing is claimed any more, and what is under way is finished. Then closes the database. */
  stop(): Promise<void>;
}

export interface CoreSettings {
  readonly config: Config;
  readonly context: AppContext;
  readonly roles: ReadonlySet<Role>;
  /** Absent while the dispatcher is disabled, and where there is no cluster to ask. */
  readonly argo: ArgoClient | undefined;
  readonly sessions: Sessions;
  readonly discord: DiscordClient;
  readonly commandMetrics: CommandMetrics;
}

/** Messages being brought up to date at a time. Discord's own limits are far lower a channel. */
const NOTIFY_CONCURRENCY = 16;
/** Creates under way at a time: as many as the client has connections. */
const SUBMIT_CONCURRENCY = 64;

/** Opens and migrates the database, however long Postgres takes to come up, and builds what needs it. */
export async function openCore(settings: CoreSettings, signal: AbortSignal): Promise<Core> {
  const { config, context, sessions, commandMetrics } = settings;
  const db = await openLedger(config, context);
  try {
    await whenReachable(() => applyMigrations(db, context), context, signal);
  } catch (error) {
    await db.close();
    throw error;
  }
  const urgent = new UrgentWork();
  const notifier = buildNotifier(settings, db, urgent);
  const announcements = createAnnouncements(db, context.logger);
  const onNews = (): void => void announcements.messagesDue();
  const submitter = buildSubmitter(settings, { db, urgent, onChanged: onNews });
  const onDue = ({ runsInMs, messagesInMs }: DueWork): void => {
    nudgeIn(runsInMs, submitter);
    nudgeIn(messagesInMs, notifier);
  };
  const onChanged = (changes: readonly Observed[]): void => {
    if (changes.some(({ news }) => news)) {
      onNews();
    }
    // A run that ended makes room for one that waits, here or elsewhere.
    const makesRoom = config.argo.maxActive !== undefined && changes.some(({ to }) => isFinished(to));
    if (makesRoom || changes.some(({ due }) => due)) {
      void announcements.runsDue();
    }
  };
  const follower = buildFollower(settings, { db, onChanged, onDue });
  const sweeper = follower === undefined && (submitter ?? notifier) ? buildSweeper(db, onDue, context) : undefined;
  return {
    db,
    dispatch: dispatchFor(config, context, { db, submitter, sessions, announcements, commandMetrics }),
    urgent,
    async start() {
      notifier?.start();
      submitter?.start();
      follower?.start();
      sweeper?.start();
      if (submitter !== undefined) {
        await whenReachable(() => db.listen(SUBMIT_CHANNEL, () => submitter.nudge()), context, signal);
        // What was announced before there was anybody to hear it.
        submitter.nudge();
      }
      if (notifier !== undefined) {
        await whenReachable(() => db.listen(MESSAGE_CHANNEL, () => notifier.nudge()), context, signal);
        notifier.nudge();
      }
    },
    async stop() {
      await Promise.all([submitter?.stop(), follower?.stop(), sweeper?.stop()]);
      await notifier?.stop();
      await announcements.flush();
      await db.close();
    },
  };
}

function buildNotifier({ config, context, roles, discord, sessions }: CoreSettings, db: Database, urgent: UrgentWork) {
  if (!roles.has('notify')) {
    return undefined;
  }
  return new Notifier({
    db,
    discord,
    sessions,
    clock: context.clock,
    random: context.random,
    logger: context.logger,
    uiUrl: config.argo.uiUrl,
    concurrency: NOTIFY_CONCURRENCY,
    urgent,
  });
}

function buildSubmitter(
  { config, context, roles, argo }: CoreSettings,
  parts: Pick<SubmitterDeps, 'db' | 'urgent' | 'onChanged'>,
): Submitter | undefined {
  if (argo === undefined || !roles.has('submit')) {
    return undefined;
  }
  return new Submitter({
    ...parts,
    workflows: argo,
    clock: context.clock,
    random: context.random,
    logger: context.logger,
    concurrency: SUBMIT_CONCURRENCY,
    maxActive: config.argo.maxActive,
  });
}

function buildFollower(
  settings: CoreSettings,
  parts: Pick<FollowerDeps, 'db' | 'onChanged' | 'onDue'>,
): Follower | undefined {
  const { config, context, roles, argo } = settings;
  if (argo === undefined || !roles.has('follow')) {
    return undefined;
  }
  return new Follower({
    ...parts,
    workflows: argo,
    random: context.random,
    logger: context.logger,
    namespaces: namespacesOf(config),
    holder: context.newId(),
  });
}

/** Where nobody asks for the lease, the queues are still to be looked at. */
function buildSweeper(db: Database, onDue: (due: DueWork) => void, { logger }: AppContext): Worker {
  const pass = async (): Promise<number> => {
    onDue(await dueWork(db));
    return SWEEP_MS;
  };
  return new Worker({ name: 'sweep', logger, pass, failureDelayMs: 1000 });
}

/** What is due later than the next sweep is that one's to announce. */
function nudgeIn(inMs: number | undefined, worker: Pick<Worker, 'nudge'> | undefined): void {
  if (inMs !== undefined && inMs <= SWEEP_MS) {
    worker?.nudge(inMs);
  }
}

/** Every namespace that a run of this configuration may be in. */
function namespacesOf({ argo, codex, commands }: Config): readonly string[] {
  const targets = [
    argo.namespace,
    codex.namespace,
    codex.autonomousNamespace,
    ...Object.values(commands).map((command) => command.namespace),
  ];
  return targets.filter((namespace): namespace is string => namespace !== undefined && namespace !== '');
}

/** The database of the configuration; nothing connects before it is used. */
export function openLedger(config: Pick<Config, 'postgres'>, context: AppContext): Promise<Database> {
  return (context.openDatabase ?? openDatabase)({
    dsn: config.postgres.dsn.reveal(),
    pid: context.pid,
    random: context.random,
    onLost: (error) => context.logger.warn({ error: errorMessage(error) }, 'a database connection was lost'),
  });
}

/** The use case behind every door. Without a submitter, those of other processes are woken. */
export function dispatchFor(
  config: Pick<Config, 'dispatcherDisabled' | 'roleMap' | 'commands' | 'argo' | 'codex'>,
  context: AppContext,
  parts: Pick<DispatchDeps, 'db' | 'submitter' | 'sessions' | 'announcements'> & {
    readonly commandMetrics?: CommandMetrics;
  },
): Dispatch {
  const dispatch = createDispatch({
    ...parts,
    disabled: config.dispatcherDisabled,
    clock: context.clock,
    logger: context.logger,
    newId: context.newId,
    roleMap: config.roleMap,
    commands: config.commands,
    argo: config.argo,
    codex: config.codex,
  });
  return observeDispatch(dispatch, parts.commandMetrics ?? createCommandMetrics(config.commands));
}

async function applyMigrations(db: Database, { migrationsDir, logger }: AppContext): Promise<void> {
  for (const { name } of await migrate(db, await loadMigrations(migrationsDir))) {
    logger.info({ migration: name }, 'migration applied');
  }
}

/** Does it as soon as Postgres can be reached, however long that takes. */
async function whenReachable<T>(work: () => Promise<T>, context: AppContext, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof FacteurError && error.retryable) || signal.aborted) {
        throw error;
      }
      context.logger.warn({ attempt, error: errorMessage(error) }, 'waiting for postgres');
      await setTimeout(backoffMs(attempt, { firstMs: 250, maxMs: 5000 }, context.random()), undefined, { signal });
    }
  }
}
