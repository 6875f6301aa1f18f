import type { UrgentWork } from '../base/urgent-work.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { Config } from '../config/config.ts';
import { ChangeFeed } from '../entry/api/change-feed.ts';
import { commandLabel, type RuleSource } from '../domain/command-rules.ts';
import { Follower } from '../follow/follower.ts';
import { createEnricher } from '../knowledge/enrich.ts';
import { ReflectionEvents } from '../knowledge/reflection-events.ts';
import { RetrievalEvents } from '../knowledge/retrieval-events.ts';
import { createAnnouncements } from '../ledger/due-work.ts';
import { Asker } from '../notify/asker.ts';
import { Notifier } from '../notify/notifier.ts';
import { Decider } from '../submit/decider.ts';
import { Submitter, type SubmitterDeps } from '../submit/submitter.ts';
import type { Clients } from './clients.ts';
import type { AppContext } from './context.ts';
import { whenReachable } from './ledger.ts';
import type { Role } from './roles.ts';
import { Wakes } from './wakes.ts';

/** The background workers, and how to wake them. */
interface Workers {
  readonly wakes: Wakes;
  /** Absent if other processes submit. */
  readonly submitter: Submitter | undefined;
  /** For clients that watch all runs. */
  readonly changes: ChangeFeed;
  /** Starts the work of the roles, once the schema is migrated. */
  start(signal: AbortSignal): Promise<void>;
  /** Stops the workers: they claim nothing more, and finish current work. */
  stop(): Promise<void>;
}

interface WorkerSettings {
  readonly config: Config;
  readonly context: AppContext;
  readonly roles: ReadonlySet<Role>;
  readonly clients: Clients;
  readonly db: Database;
  /** Work that chat users wait for. */
  readonly urgent: UrgentWork;
  readonly rules: RuleSource['rules'];
}

/** Maximum number of concurrent message updates. Discord's own limits per channel are far lower. */
const NOTIFY_CONCURRENCY = 16;
/** Maximum number of concurrent creates: as many as the client has connections. */
const SUBMIT_CONCURRENCY = 64;
/** Maximum number of decisions that are written into workflows concurrently. */
const DECIDE_CONCURRENCY = 16;

/**
 * Delay of background workers after a start, in milliseconds: their first statements would open connections while the first
 * requests are handled.
 */
const QUIET_MS = 100;

/** The workers of these roles. Nothing starts before `start`. */
export function createWorkers(settings: WorkerSettings): Workers {
  const { config, context, db } = settings;
  const announcements = createAnnouncements(db, context.logger);
  const notifier = buildNotifier(settings);
  const submitter = buildSubmitter(settings, () => void announcements.messagesDue());
  const asker = buildAsker(settings);
  const onSettled = (): void => {
    asker?.nudge();
    void announcements.approvalsDue();
  };
  const decider = buildDecider(settings, { onChanged: () => void announcements.messagesDue(), onSettled });
  const { maxActive } = config.argo;
  const changes = new ChangeFeed({ db, logger: context.logger, timer: context.timer });
  const watched = settings.roles.has('http') ? changes : undefined;
  const wakes = new Wakes({
    db,
    logger: context.logger,
    announcements,
    submitter,
    notifier,
    approvals: [decider, asker].filter((worker) => worker !== undefined),
    changes: watched,
    maxActive,
  });
  const follower = buildFollower(settings, wakes);
  return {
    wakes,
    submitter,
    changes,
    async start(signal) {
      submitter?.start();
      [follower, notifier, decider, asker, watched, wakes].forEach((worker) => worker?.start(QUIET_MS));
      await wakes.listen((work) => whenReachable(work, context, signal));
    },
    async stop() {
      await Promise.all([submitter?.stop(), decider?.stop(), follower?.stop(), wakes.stop(), changes.stop()]);
      await Promise.all([notifier?.stop(), asker?.stop()]);
      await announcements.flush();
    },
  };
}

function buildNotifier({ config, context, roles, clients, db, urgent }: WorkerSettings): Notifier | undefined {
  if (!roles.has('notify')) {
    return undefined;
  }
  return new Notifier({
    db,
    discord: clients.discord,
    sessions: clients.sessions,
    clock: context.clock,
    random: context.random,
    logger: context.logger,
    maxActive: config.argo.maxActive,
    uiUrl: config.argo.uiUrl,
    reviewed: config.knowledge.reviewers.length > 0,
    concurrency: NOTIFY_CONCURRENCY,
    urgent,
  });
}

function buildSubmitter(settings: WorkerSettings, onChanged: () => void): Submitter | undefined {
  const { config, context, roles, clients, db, urgent } = settings;
  if (clients.argo === undefined || !roles.has('submit')) {
    return undefined;
  }
  return new Submitter({
    db,
    workflows: clients.argo,
    clock: context.clock,
    timer: context.timer,
    random: context.random,
    logger: context.logger,
    concurrency: SUBMIT_CONCURRENCY,
    maxActive: config.argo.maxActive,
    urgent,
    onChanged,
    enrich: createEnricher({
      db,
      clock: context.clock,
      timer: context.timer,
      settings: config.knowledge,
      embedder: clients.embedder,
      searches: new ReflectionEvents(),
      events: new RetrievalEvents(context.logger),
    }),
    ...reportingOf(config),
  });
}

function buildAsker({ context, roles, clients, db, rules }: WorkerSettings): Asker | undefined {
  const { logger, random } = context;
  return roles.has('notify') ? new Asker({ db, discord: clients.discord, logger, random, rules }) : undefined;
}

function buildDecider(
  { context, roles, clients, db }: WorkerSettings,
  callbacks: { readonly onChanged: () => void; readonly onSettled: () => void },
): Decider | undefined {
  if (clients.argo === undefined || !roles.has('submit')) {
    return undefined;
  }
  const { logger, random, timer } = context;
  return new Decider({
    db,
    workflows: clients.argo,
    logger,
    random,
    timer,
    concurrency: DECIDE_CONCURRENCY,
    ...callbacks,
  });
}

/** Settings for reports of workflows; only the first key signs. */
function reportingOf({ server: { publicUrl: url, runTokenKeys } }: Config): Pick<SubmitterDeps, 'reporting'> {
  const [key] = runTokenKeys;
  return url === undefined || key === undefined ? {} : { reporting: { url, key } };
}

/** Codex tasks have no command. */
const CODEX_LABEL = '(codex)';

function buildFollower(
  { config, context, roles, clients, db, rules }: WorkerSettings,
  wakes: Wakes,
): Follower | undefined {
  if (clients.argo === undefined || !roles.has('follow')) {
    return undefined;
  }
  return new Follower({
    db,
    workflows: clients.argo,
    onChanged: wakes.followed,
    onWaiting: wakes.waiting,
    claimLease: wakes.claimLease,
    random: context.random,
    logger: context.logger,
    labelOf: (command) => (command === CODEX_LABEL ? command : commandLabel(command, rules())),
    namespaces: namespacesOf(config),
    holder: context.newId(),
  });
}

/** Every namespace in which this configuration may start runs. */
function namespacesOf({ argo, codex, commands, commandsFromTemplates }: Config): readonly string[] {
  const targets = [
    argo.namespace,
    codex.namespace,
    codex.autonomousNamespace,
    ...Object.values(commands).map((command) => command.namespace),
    ...(commandsFromTemplates?.namespaces ?? []),
  ];
  return targets.filter((namespace): namespace is string => namespace !== undefined && namespace !== '');
}
