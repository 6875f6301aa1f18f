import { FacteurError } from '../base/errors.ts';
import type { Gate } from '../base/gate.ts';
import type { UrgentWork } from '../base/urgent-work.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { Config } from '../config/config.ts';
import { createChat } from '../dispatch/chat.ts';
import type { CommandCatalogue } from '../dispatch/command-catalogue.ts';
import type { DecideDeps } from '../dispatch/decide.ts';
import type { DispatchEvents } from '../dispatch/dispatch-events.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import type { ChangeFeed } from '../entry/api/change-feed.ts';
import { accountTokenCheck } from '../entry/http/account-tokens.ts';
import { ReportEvents } from '../entry/api/report-events.ts';
import { Admission, type AdmissionRoom } from '../entry/http/admission.ts';
import type { HttpDeps } from '../entry/http/deps.ts';
import type { InteractionsRoute } from '../entry/http/interactions-route.ts';
import { createKafkaEvents } from '../entry/kafka/kafka-events.ts';
import { ReflectionEvents } from '../knowledge/reflection-events.ts';
import { keepDeadLetter } from '../ledger/unprocessed.ts';
import type { Clients } from './clients.ts';
import type { AppContext } from './context.ts';

/** The dependencies of the doors. */
export interface DoorParts {
  readonly config: Config;
  readonly context: AppContext;
  readonly clients: Clients;
  /** Opens when the schema is migrated. */
  readonly gate: Gate;
  readonly db: Database;
  readonly dispatch: Dispatch;
  readonly changes: ChangeFeed;
  readonly wakes: DecideDeps['wakes'];
  /** Work that chat users wait for. */
  readonly urgent: UrgentWork;
  readonly events: DispatchEvents;
  readonly catalogue: CommandCatalogue;
}

/** Memory for request bodies on intake: this many of maximum size, or more smaller ones. */
const INTAKE_BODIES = 8;
const INTAKE_REQUESTS = 1000;
/** Separate from the other doors: this one faces the internet, and must not slow them down. */
const INTERACTIONS_ROOM: AdmissionRoom = { bytes: 8 * 2 ** 20, requests: 250 };

/** Everything that is served over HTTP. */
export function httpDoor(parts: DoorParts, readiness: HttpDeps['readiness']): HttpDeps {
  const { config, context, clients, gate, db, dispatch, changes, events, catalogue, wakes } = parts;
  const { maxBodyBytes, intakeTokens } = config.server;
  const counted = { reported: new ReportEvents(), reviewed: new ReflectionEvents() };
  return {
    logger: context.logger,
    clock: context.clock,
    newId: context.newId,
    version: context.version,
    commit: context.commit,
    maxBodyBytes,
    admission: new Admission({ bytes: maxBodyBytes * INTAKE_BODIES, requests: INTAKE_REQUESTS }),
    intakeTokens,
    ...accountCheck(parts),
    codexEnabled: config.codex.enabled,
    gate,
    dispatch,
    park: (letter) => keepDeadLetter(db, { attempts: 1, ...letter }),
    readiness,
    events,
    interactions: interactionsDoor(parts),
    api: async () =>
      (await import('./api.ts')).apiDoor(config, {
        clock: context.clock,
        newId: context.newId,
        timer: context.timer,
        workflows: clients.argo,
        gate,
        db,
        dispatch,
        changes,
        wakes,
        embedder: clients.embedder,
        ...counted,
        rules: catalogue.rules,
      }),
    ...(context.scrape === undefined ? {} : { scrape: context.scrape }),
  };
}

/** The check of service account tokens, if configured. Without a cluster there are no keys, so no token is valid. */
function accountCheck({ config, context, clients }: DoorParts): Pick<HttpDeps, 'acceptsAccount'> {
  const { intakeOidc } = config.server;
  if (intakeOidc === undefined) {
    return {};
  }
  const { clock, logger } = context;
  const fetchKeys = async (): Promise<unknown> => {
    if (clients.argo === undefined) {
      throw new FacteurError('argo.absent', 'there is no cluster', { retryable: true });
    }
    return clients.argo.tokenKeys();
  };
  return { acceptsAccount: accountTokenCheck(intakeOidc, { clock, logger, fetchKeys }) };
}

/** Discord's door. While the gate is closed, Discord's probes pass, and users are asked to try again. */
function interactionsDoor(parts: DoorParts): InteractionsRoute {
  const { config, context, clients, gate, db, dispatch, urgent, events, catalogue, wakes } = parts;
  const { clock, timer, logger } = context;
  const { rules } = catalogue;
  const chat = createChat({
    db,
    dispatch,
    wakes,
    sessions: clients.sessions,
    events,
    rules,
    reviewers: config.knowledge.reviewers,
    argo: config.argo,
    disabled: config.dispatcherDisabled,
    templates: clients.argo,
    workflows: clients.argo,
    clock,
    timer,
    logger,
  });
  return {
    admission: new Admission(INTERACTIONS_ROOM),
    publicKey: config.discord.publicKey,
    guildId: config.discord.guildId,
    rules,
    clock,
    timer,
    logger,
    gate,
    urgent,
    chat,
  };
}

/** Reads Kafka until the signal, if this process has that role. */
export async function consumeKafka(
  { config: { consumer }, context, clients: { kafka }, db, dispatch, events }: DoorParts,
  signal: AbortSignal,
): Promise<void> {
  const { logger, random } = context;
  if (!consumer.enabled || kafka === undefined) {
    return;
  }
  const { runConsumer } = await import('../entry/kafka/consumer.ts');
  const recordEvents = createKafkaEvents(consumer.topic, events);
  await runConsumer({ config: consumer, kafka, dispatch, db, logger, random, signal, events: recordEvents });
}
