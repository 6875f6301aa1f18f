import type { AppContext } from './app-context.ts';
import { errorMessage, FacteurError } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import { createArgoClient } from './clients/argo/client.ts';
import type { ArgoClient } from './clients/argo/workflows.ts';
import { createDiscordClient } from './clients/discord/client.ts';
import { openSessions } from './clients/sessions/open-sessions.ts';
import type { Config } from './config/config.ts';
import { openCore, type Core, type CoreSettings } from './core.ts';
import { createCommandMetrics } from './dispatch/command-metrics.ts';
import { createHttpServer, type HttpServer } from './entry/http/server.ts';
import { createKafkaMetrics } from './entry/kafka/kafka-metrics.ts';
import { keepDeadLetter } from './ledger/dead-letters.ts';
import { interactionsRoute } from './interactions.ts';
import { findRun, type RunView } from './ledger/find-runs.ts';
import { readinessChecks } from './readiness.ts';
import { observeState } from './state-metrics.ts';
import { SERVE_ROLES, type Role } from './roles.ts';

/** A started facteur. */
export interface App {
  /** Where HTTP listens; port 0 when it does not. */
  readonly address: { readonly host: string; readonly port: number };
  /** Resolves when the schema is in place and work is being done; rejects when that can never be. */
  readonly ready: Promise<void>;
  /** Rejects when the Kafka consumer can never work; resolves when it was stopped, or at once without that role. */
  readonly consumed: Promise<void>;
  /** The run that a person means by an id or a workflow's name; only once it is ready. */
  findRun(reference: string): Promise<RunView | undefined>;
  /** Drains the doors, then the workers, then closes the connections. Safe to call twice. */
  close(): Promise<void>;
}

/** In-flight requests may take this long on the way down (CONTRACT 3), in milliseconds. */
const DRAIN_MS = 15_000;

/**
 * Starts facteur: listens first, then opens and migrates the database behind `/readyz`, so that a slow or absent
 * Postgres is an unready pod rather than a crashing one.
 *
 * @throws FacteurError when the address cannot be listened on, or no cluster can be found
 */
export async function startApp(
  config: Config,
  context: AppContext,
  roles: ReadonlySet<Role> = new Set(SERVE_ROLES),
): Promise<App> {
  const { logger } = context;
  const argo = await openCluster(config, context, roles);
  const sessions = openSessions({ url: config.redis.url, clock: context.clock, logger });
  const discord = createDiscordClient({
    apiBaseUrl: config.discord.apiBaseUrl,
    applicationId: config.discord.applicationId,
    botToken: config.discord.botToken,
    version: context.version,
  });
  const commandMetrics = createCommandMetrics(config.commands);
  const life = new AbortController();
  let core: Core | undefined;
  const requireCore = (): Core => {
    if (core === undefined) {
      throw new FacteurError('app.unready', 'facteur is starting', { retryable: true });
    }
    return core;
  };
  const readiness = () => readinessChecks({ stopping: life.signal.aborted, db: core?.db, argo, sessions });
  const http = createHttpServer({
    logger,
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
    readiness,
    commandMetrics,
    interactions: interactionsRoute({ config, context, argo, sessions, commandMetrics }, requireCore),
    ...(context.scrape === undefined ? {} : { scrape: context.scrape }),
  });
  const address = roles.has('http') ? await listen(http, config, logger) : { host: '', port: 0 };
  const ready = openCore({ config, context, roles, argo, sessions, discord, commandMetrics }, life.signal).then(
    async (opened) => {
      core = opened;
      await opened.start();
      logger.info({ roles: [...roles] }, 'ready');
    },
  );
  const stopObserving = observeState({ db: () => core?.db, readiness, logger });
  if (argo !== undefined) {
    void greetCluster(argo, logger);
  }
  const consumed = ready.then(() => consume({ config, context, roles, commandMetrics }, requireCore(), life.signal));
  // Whoever waits for it hears of it; nobody has to.
  consumed.catch(() => undefined);
  const shutDown = async (): Promise<void> => {
    life.abort();
    await http.close(DRAIN_MS);
    await Promise.allSettled([ready, consumed]);
    stopObserving();
    await core?.stop();
    await Promise.all([argo?.close(), discord.close(), sessions.close()]);
    logger.info({}, 'stopped');
  };
  let closed: Promise<void> | undefined;
  return {
    address,
    ready,
    consumed,
    findRun: async (reference) => findRun(requireCore().db, reference),
    close: () => (closed ??= shutDown()),
  };
}

/** Reads Kafka until the signal; loaded only where it is done, since the client takes half a second to load. */
async function consume(
  { config, context, roles, commandMetrics }: Pick<CoreSettings, 'config' | 'context' | 'roles' | 'commandMetrics'>,
  { db, dispatch }: Core,
  signal: AbortSignal,
): Promise<void> {
  const { logger, random } = context;
  if (!roles.has('kafka')) {
    return;
  }
  if (!config.consumer.enabled) {
    logger.warn({}, 'the consumer is disabled; set consumer.enabled to true to run it');
    return;
  }
  const { runConsumer } = await import('./entry/kafka/consumer.ts');
  const events = createKafkaMetrics(config.consumer.topic, commandMetrics);
  await runConsumer({ config: config.consumer, dispatch, db, logger, random, signal, events });
}

async function listen(http: HttpServer, config: Config, logger: Logger) {
  const address = await http.listen(config.server.host, config.server.port);
  logger.info(address, 'listening');
  return address;
}

/** Nothing while the dispatcher is disabled. Where nothing is submitted or followed, a cluster is of use but not needed. */
async function openCluster(
  { dispatcherDisabled }: Config,
  { clusterAccess, logger }: AppContext,
  roles: ReadonlySet<Role>,
): Promise<ArgoClient | undefined> {
  if (dispatcherDisabled) {
    logger.info({}, 'the dispatcher is disabled');
    return undefined;
  }
  try {
    return createArgoClient(await clusterAccess());
  } catch (error) {
    const isNeeded = roles.has('submit') || roles.has('follow');
    if (isNeeded || !(error instanceof FacteurError && error.code === 'argo.kubeconfig_missing')) {
      throw error;
    }
    logger.warn({ error: error.message }, 'without a cluster, /status and the Logs button cannot look at it');
    return undefined;
  }
}

/** Loads the credentials and opens a connection before the first run needs them, and says early when they are of no use. */
async function greetCluster(argo: ArgoClient, logger: Logger): Promise<void> {
  try {
    logger.info({ version: await argo.serverVersion() }, 'the cluster answers');
  } catch (error) {
    logger.warn({ error: errorMessage(error) }, 'the cluster does not answer; runs will wait for it');
  }
}
