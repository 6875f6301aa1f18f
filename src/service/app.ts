import { FacteurError } from '../base/errors.ts';
import { Gate } from '../base/gate.ts';
import type { Logger } from '../base/logger.ts';
import { UrgentWork } from '../base/urgent-work.ts';
import type { Sessions } from '../clients/sessions/sessions.ts';
import type { Config } from '../config/config.ts';
import type { ListenerDoor, Listeners } from '../config/listeners.ts';
import { CommandCatalogue } from '../dispatch/command-catalogue.ts';
import { DispatchEvents } from '../dispatch/dispatch-events.ts';
import { createHttpServer, type Address, type HttpServer } from '../entry/http/server.ts';
import { findRun, type RunView } from '../ledger/find-runs.ts';
import { greetCluster, openClients } from './clients.ts';
import { commandRegistration } from './command-registration.ts';
import type { AppContext } from './context.ts';
import { dispatchFor } from './dispatch.ts';
import { consumeKafka, httpDoor, type DoorParts } from './doors.ts';
import { migrateLedger, openLedger } from './ledger.ts';
import { createReadiness } from './readiness.ts';
import { SERVE_ROLES, type Role } from './roles.ts';
import { measureState } from './state-metrics.ts';
import { countCommands, followTemplates, needsTemplates } from './templates.ts';
import { createWorkers } from './workers.ts';

/** A started facteur. */
export interface App {
  /** The actual address of `server.listen_address`; port 0 if HTTP is not served. */
  readonly address: Address;
  /** The actual address of a door. */
  addressOf(door: ListenerDoor): Address;
  /** Resolves when the schema is migrated and the workers run; rejects on a permanent failure. */
  readonly ready: Promise<void>;
  /** Rejects on a permanent failure of the Kafka consumer; resolves when it was stopped, or immediately without that role. */
  readonly consumed: Promise<void>;
  /** The run with this id or workflow name; call it only once facteur is ready. */
  findRun(reference: string): Promise<RunView | undefined>;
  /** Drains the doors, then the workers, then closes the connections. Safe to call twice. */
  close(): Promise<void>;
}

const NOWHERE: Address = { host: '', port: 0 };

/** Only with `discord.follow_up_events`: the service that received the interaction may have messages of its own. */
function followUpsOf(
  { discord }: Config,
  sessions: Pick<Sessions, 'keepToken'>,
): Pick<Parameters<typeof dispatchFor>[2], 'followUps'> {
  const { applicationId, followUpEvents } = discord;
  return followUpEvents
    ? { followUps: { applicationId, keepToken: (id, token) => sessions.keepToken(id, token) } }
    : {};
}

/** How long in-flight requests may take during shutdown (CONTRACT 3), in milliseconds. */
const DRAIN_MS = 15_000;

/**
 * Starts facteur. It builds everything while it connects to Postgres, then listens, and migrates the database while a gate keeps
 * the doors closed: with a slow or absent Postgres the pod is unready instead of crashing. It stops in reverse order.
 *
 * @throws FacteurError when the address cannot be listened on, or no cluster can be found
 */
export async function startApp(
  config: Config,
  context: AppContext,
  roles: ReadonlySet<Role> = new Set(SERVE_ROLES),
): Promise<App> {
  const { logger, timer } = context;
  const life = new AbortController();
  const gate = new Gate();
  const urgent = new UrgentWork();
  const clients = await openClients(config, context, roles);
  const { argo, sessions, kafka } = clients;
  const db = openLedger(config, context);
  // Connects while the rest is built; the migration reports whether that works.
  void db.query({ text: 'SELECT 1' }).catch(() => undefined);
  const own = { ...config, guildId: config.discord.guildId };
  const catalogue = new CommandCatalogue(own, logger, needsTemplates(config, roles, clients));
  const workers = createWorkers({ config, context, roles, clients, db, urgent, rules: catalogue.rules });
  const templates = followTemplates(config, context, { roles, clients, catalogue });
  const registration = commandRegistration(config, context, { db, clients, catalogue });
  const events = new DispatchEvents(catalogue.rules, logger);
  const dispatch = dispatchFor(config, context, {
    db,
    sessions,
    submitter: workers.submitter,
    wakes: workers.wakes,
    events,
    ...followUpsOf(config, sessions),
    rules: catalogue.rules,
  });
  const readiness = createReadiness({ stopping: () => life.signal.aborted, gate, db, argo, sessions, kafka });
  const { changes, wakes } = workers;
  const doors: DoorParts = { config, context, clients, gate, db, dispatch, changes, wakes, urgent, events, catalogue };
  const { listeners } = config.server;
  const http = createHttpServer(httpDoor(doors, readiness), listeners);

  const addresses = roles.has('http')
    ? await listen(http, listeners, logger).catch(async (error: unknown) => {
        await http.close(0);
        await Promise.all([db.close(), clients.close()]);
        throw error;
      })
    : [];
  const stopMeasuring = measureState({ gate, db, readiness, logger, timer, rules: catalogue.rules });
  const stopCounting = countCommands(catalogue);
  void greetCluster(clients, context);
  templates?.start();

  const begin = async (): Promise<void> => {
    await migrateLedger(db, context, life.signal);
    if (life.signal.aborted) {
      throw new FacteurError('app.stopped', 'facteur was stopped before it was ready', { retryable: true });
    }
    gate.open();
    registration?.start();
    await workers.start(life.signal);
    logger.info({ roles: [...roles] }, 'ready');
  };
  const ready = begin();
  const consumed = ready.then(() => consumeKafka(doors, life.signal));
  // Callers may wait for it, but need not.
  consumed.catch(() => undefined);

  const end = async (): Promise<void> => {
    life.abort();
    await http.close(DRAIN_MS);
    await Promise.allSettled([ready, consumed]);
    stopMeasuring();
    stopCounting();
    await Promise.all([templates?.stop(), registration?.stop(), workers.stop()]);
    await db.close();
    await clients.close();
    logger.info({}, 'stopped');
  };
  let ended: Promise<void> | undefined;
  return {
    address: addresses[0] ?? NOWHERE,
    addressOf: (door) => addresses[listeners.findIndex(({ doors: served }) => served.includes(door))] ?? NOWHERE,
    ready,
    consumed,
    findRun: async (reference) => {
      gate.pass();
      return findRun(db, reference);
    },
    close: () => (ended ??= end()),
  };
}

async function listen(http: HttpServer, listeners: Listeners, logger: Logger): Promise<readonly Address[]> {
  const addresses = await http.listen();
  for (const [index, address] of addresses.entries()) {
    logger.info({ ...address, doors: listeners[index]?.doors.join(',') ?? '' }, 'listening');
  }
  return addresses;
}
