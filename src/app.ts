import { setTimeout } from 'node:timers/promises';
import { backoffMs } from './base/backoff.ts';
import type { Clock } from './base/clock.ts';
import { errorMessage, FacteurError } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import { createArgoClient } from './clients/argo/client.ts';
import type { ClusterAccess } from './clients/argo/connection.ts';
import type { ArgoClient } from './clients/argo/workflows.ts';
import type { Database } from './clients/postgres/database.ts';
import { loadMigrations } from './clients/postgres/load-migrations.ts';
import { migrate } from './clients/postgres/migrate.ts';
import { openDatabase } from './clients/postgres/open-database.ts';
import type { Config } from './config/config.ts';
import { createDispatch, type Dispatch } from './dispatch/dispatch.ts';
import { createHttpServer } from './entry/http/server.ts';
import { keepDeadLetter } from './ledger/dead-letters.ts';
import { findRun, type RunView } from './ledger/find-runs.ts';
import { SUBMIT_CHANNEL } from './ledger/submission-queue.ts';
import { readinessChecks } from './readiness.ts';
import { Submitter } from './submit/submitter.ts';

/** What the composition root takes from the process; tests put their own in its place. */
export interface AppContext {
  readonly logger: Logger;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly newId: () => string;
  readonly pid: number;
  readonly migrationsDir: URL;
  /** Set where the database of the configuration is not to be opened by its DSN. */
  readonly openDatabase?: typeof openDatabase;
  /** The cluster to talk to; looked for only when the dispatcher is enabled. */
  readonly clusterAccess: () => Promise<ClusterAccess>;
  readonly version: string;
  readonly commit: string;
}

/** A facteur that listens. */
export interface App {
  readonly address: { readonly host: string; readonly port: number };
  /** Resolves when the schema is in place and work is being done; rejects when that can never be. */
  readonly ready: Promise<void>;
  /** The run that a person means by an id or a workflow's name; only once it is ready. */
  findRun(reference: string): Promise<RunView | undefined>;
  /** Drains the doors, then the workers, then closes the connections. */
  close(): Promise<void>;
}

/** In-flight requests may take this long on the way down (CONTRACT 3), in milliseconds. */
const DRAIN_MS = 15_000;
/** Creates under way at a time: as many as the client has connections. */
const SUBMIT_CONCURRENCY = 64;

/** What exists once the database is reachable and migrated. */
interface Core {
  readonly db: Database;
  readonly dispatch: Dispatch;
  readonly submitter: Submitter | undefined;
}

/**
 * Starts facteur: listens first, then opens and migrates the database behind `/readyz`, so that a slow or absent
 * Postgres is an unready pod rather than a crashing one.
 *
 * @throws FacteurError when the address cannot be listened on, or no cluster can be found
 */
export async function startApp(config: Config, context: AppContext): Promise<App> {
  const argo = config.dispatcherDisabled ? undefined : createArgoClient(await context.clusterAccess());
  const life = new AbortController();
  let core: Core | undefined;
  const requireCore = (): Core => {
    if (core === undefined || life.signal.aborted) {
      throw new FacteurError('app.unready', 'facteur is starting or stopping', { retryable: true });
    }
    return core;
  };
  const http = createHttpServer({
    logger: context.logger,
    clock: context.clock,
    newId: context.newId,
    version: context.version,
    commit: context.commit,
    maxBodyBytes: config.server.maxBodyBytes,
    intakeTokens: config.server.intakeTokens,
    codexEnabled: config.codex.enabled,
    dispatch: {
      command: async (command, options) => requireCore().dispatch.command(command, options),
      codexTask: async (delivery, options) => requireCore().dispatch.codexTask(delivery, options),
    },
    park: (letter) => keepDeadLetter(requireCore().db, { attempts: 1, ...letter }),
    readiness: () => readinessChecks({ stopping: life.signal.aborted, db: core?.db, argo }),
  });
  const address = await http.listen(config.server.host, config.server.port);
  context.logger.info({ ...address, version: context.version }, 'listening');
  const ready = openCore(config, context, argo, life.signal).then(async (opened) => {
    core = opened;
    await startSubmitting(opened);
    context.logger.info({}, 'ready');
  });
  void greetCluster(argo, context.logger);
  return {
    address,
    ready,
    findRun: async (reference) => findRun(requireCore().db, reference),
    async close() {
      life.abort();
      await http.close(DRAIN_MS);
      await Promise.allSettled([ready]);
      await core?.submitter?.stop();
      await argo?.close();
      await core?.db.close();
    },
  };
}

/** Lets the submitter work, woken by other processes too. */
async function startSubmitting({ db, submitter }: Core): Promise<void> {
  if (submitter !== undefined) {
    submitter.start();
    await db.listen(SUBMIT_CHANNEL, () => submitter.nudge());
  }
}

/** Loads the credentials and opens a connection before the first run needs them, and says early when they are of no use. */
async function greetCluster(argo: ArgoClient | undefined, logger: Logger): Promise<void> {
  try {
    const version = await argo?.serverVersion();
    logger.info({ version }, argo === undefined ? 'the dispatcher is disabled' : 'the cluster answers');
  } catch (error) {
    logger.warn({ error: errorMessage(error) }, 'the cluster does not answer; runs will wait for it');
  }
}

/** Opens and migrates the database, however long Postgres takes to come up, and builds what needs it. */
async function openCore(
  config: Config,
  context: AppContext,
  argo: ArgoClient | undefined,
  signal: AbortSignal,
): Promise<Core> {
  const { logger, clock, random } = context;
  const db = await openLedger(config, context);
  try {
    await migrateWhenReachable(db, context, signal);
  } catch (error) {
    await db.close();
    throw error;
  }
  const submitter =
    argo === undefined
      ? undefined
      : new Submitter({
          db,
          workflows: argo,
          clock,
          random,
          logger,
          concurrency: SUBMIT_CONCURRENCY,
          maxActive: config.argo.maxActive,
          onMoved: () => undefined,
        });
  return { db, submitter, dispatch: dispatchFor(config, context, db, submitter) };
}

/** The database of the configuration; nothing connects before it is used. */
export function openLedger(config: Config, context: AppContext): Promise<Database> {
  return (context.openDatabase ?? openDatabase)({
    dsn: config.postgres.dsn.reveal(),
    pid: context.pid,
    random: context.random,
    onLost: (error) => context.logger.warn({ error: errorMessage(error) }, 'a database connection was lost'),
  });
}

/** The use case behind every door. Without a submitter, those of other processes are woken. */
export function dispatchFor(
  config: Config,
  context: AppContext,
  db: Database,
  submitter: Submitter | undefined,
): Dispatch {
  return createDispatch({
    db,
    disabled: config.dispatcherDisabled,
    submitter,
    clock: context.clock,
    logger: context.logger,
    newId: context.newId,
    roleMap: config.roleMap,
    commands: config.commands,
    argo: config.argo,
    codex: config.codex,
  });
}

async function migrateWhenReachable(db: Database, context: AppContext, signal: AbortSignal): Promise<void> {
  const migrations = await loadMigrations(context.migrationsDir);
  for (let attempt = 1; ; attempt += 1) {
    try {
      for (const { name } of await migrate(db, migrations)) {
        context.logger.info({ migration: name }, 'migration applied');
      }
      return;
    } catch (error) {
      if (!(error instanceof FacteurError && error.retryable) || signal.aborted) {
        throw error;
      }
      context.logger.warn({ attempt, error: errorMessage(error) }, 'waiting for postgres');
      await setTimeout(backoffMs(attempt, { firstMs: 250, maxMs: 5000 }, context.random()), undefined, { signal });
    }
  }
}
