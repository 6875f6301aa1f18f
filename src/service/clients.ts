import { errorMessage, FacteurError } from '../base/errors.ts';
import { createArgoClient } from '../clients/argo/client.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import { createDiscordClient, type DiscordClient } from '../clients/discord/client.ts';
import type { KafkaClient } from '../clients/kafka/client.ts';
import { openSessions } from '../clients/sessions/open-sessions.ts';
import type { Sessions } from '../clients/sessions/sessions.ts';
import type { Config } from '../config/config.ts';
import type { Embedder } from '../knowledge/embed.ts';
import type { AppContext } from './context.ts';
import { openEmbedder } from './embedder.ts';
import type { Role } from './roles.ts';

/** The external systems except Postgres. They connect on first use. */
export interface Clients {
  /** Absent while the dispatcher is disabled, and without a cluster. */
  readonly argo: ArgoClient | undefined;
  readonly discord: DiscordClient;
  readonly sessions: Sessions;
  readonly embedder: Embedder;
  /** Only in a process that reads Kafka; the reader closes it. */
  readonly kafka: KafkaClient | undefined;
  close(): Promise<void>;
}

/** @throws FacteurError if the roles need a cluster and none can be found, or Kafka's certificates cannot be read */
export async function openClients(config: Config, context: AppContext, roles: ReadonlySet<Role>): Promise<Clients> {
  const argo = await openCluster(config, context, roles);
  const kafka = await openConsumer(config, context, roles);
  const sessions = openSessions({ url: config.redis.url, clock: context.clock, logger: context.logger });
  const discord = createDiscordClient({
    apiBaseUrl: config.discord.apiBaseUrl,
    applicationId: config.discord.applicationId,
    botToken: config.discord.botToken,
    version: context.version,
    proxies: config.proxies,
  });
  const embeddings = openEmbedder(config, context);
  return {
    argo,
    discord,
    sessions,
    embedder: embeddings.embedder,
    kafka,
    close: async () => {
      await Promise.all([argo?.close(), discord.close(), sessions.close(), embeddings.close()]);
    },
  };
}

/** Undefined while the dispatcher is disabled. The cluster is optional for roles that neither submit nor follow. */
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
    logger.warn({ error: error.message }, 'no cluster, so /status and the Logs button are limited');
    return undefined;
  }
}

/** Loaded only if needed, since the client takes half a second to load. */
async function openConsumer(
  { consumer }: Config,
  { logger, random }: AppContext,
  roles: ReadonlySet<Role>,
): Promise<KafkaClient | undefined> {
  if (!roles.has('kafka')) {
    return undefined;
  }
  if (!consumer.enabled) {
    logger.warn({}, 'the consumer is disabled; set consumer.enabled to true to run it');
    return undefined;
  }
  const { openKafka } = await import('../clients/kafka/open-kafka.ts');
  return openKafka({ config: consumer, group: 'consumer', random });
}

/** Loads the credentials and opens a connection before the first run needs them, to report problems early. */
export async function greetCluster({ argo }: Clients, { logger }: AppContext): Promise<void> {
  if (argo === undefined) {
    return;
  }
  try {
    logger.info({ version: await argo.serverVersion() }, 'the cluster answers');
  } catch (error) {
    logger.warn({ error: errorMessage(error) }, 'the cluster does not answer; runs will wait');
  }
}
