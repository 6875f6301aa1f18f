import { randomUUID } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { startApp, type App } from '../../src/service/app.ts';
import type { AppContext } from '../../src/service/context.ts';
import { dispatchFor } from '../../src/service/dispatch.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createLogger } from '../../src/base/logger.ts';
import type { ClusterAccess } from '../../src/clients/argo/connection.ts';
import type { Database } from '../../src/clients/postgres/database.ts';
import type { Config } from '../../src/config/config.ts';
import type { Environment } from '../../src/config/environment.ts';
import { loadConfig } from '../../src/config/load.ts';
import { approvalsCommand } from '../../src/cli/approvals.ts';
import { deadLettersCommand } from '../../src/cli/dead-letters.ts';
import type { WithLedger } from '../../src/cli/ledger-access.ts';
import { maintainCommand } from '../../src/cli/maintain.ts';
import { knowledgeCommand } from '../../src/cli/knowledge.ts';
import { refusalsCommand } from '../../src/cli/refusals.ts';
import { storeAccess } from '../../src/cli/store-access.ts';
import { submitCommand } from '../../src/cli/submit.ts';
import { runsCommand } from '../../src/cli/runs.ts';
import { createArgoClient } from '../../src/clients/argo/client.ts';
import { runPages } from '../../src/domain/run-pages.ts';
import { createAnnouncements } from '../../src/ledger/due-work.ts';
import { openEmbedder } from '../../src/service/embedder.ts';
import type { Role } from '../../src/service/roles.ts';
import type { SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import { runCommandLine, type CliRun } from './cli.ts';
import { accessTo, NAMESPACE, startCluster, TEMPLATE } from './cluster.ts';
import { MINIMAL_ENV } from './config.ts';
import { MIGRATIONS } from './database.ts';
import { faultyDatabase, type DatabaseFaults } from './faulty-database.ts';
import { send, type Answer, type Message } from './messages.ts';
import { TurnableTimer } from './turnable-timer.ts';

/** A complete facteur for tests, on a free port. Commands and Codex tasks go to the simulated cluster. */
export const TEST_ENV: Environment = {
  ...MINIMAL_ENV,
  FACTEUR_SERVER_LISTEN_ADDRESS: '127.0.0.1:0',
  FACTEUR_ARGO_NAMESPACE: NAMESPACE,
  FACTEUR_ARGO_WORKFLOW_TEMPLATE: TEMPLATE.name,
  FACTEUR_CODEX_IMPLEMENTATION_ORCHESTRATOR_ENABLED: 'true',
  FACTEUR_CODEX_IMPLEMENTATION_ORCHESTRATOR_WORKFLOW_TEMPLATE: TEMPLATE.name,
};

export interface FacteurOptions {
  /** May be shared: closing facteur leaves it open. */
  readonly db: Database;
  /** By default a new one, which is closed when the test ends. */
  readonly cluster?: SimulatedCluster;
  /** Access to a cluster that is not simulated. */
  readonly access?: ClusterAccess;
  /** Overrides {@link TEST_ENV}. */
  readonly env?: Environment;
  /** The text of a configuration file. */
  readonly yaml?: string;
  readonly context?: Partial<AppContext>;
  /** By default HTTP and submission only: runs stay `submitted`. */
  readonly roles?: readonly Role[];
  /** The timer for the limits of answers; by default a new one. */
  readonly timer?: TurnableTimer;
  /** Active from the first statement on. */
  readonly faults?: Partial<DatabaseFaults>;
  /** False if the test blocks its database. */
  readonly awaitReady?: boolean;
}

/** A facteur in this process. */
export interface Facteur {
  readonly app: App;
  readonly url: string;
  readonly cluster: SimulatedCluster;
  readonly config: Config;
  /** The given database. */
  readonly db: Database;
  /** Faults for the statements of this facteur. Others on the same database are not affected. */
  readonly faults: DatabaseFaults;
  /** No answer is late until the test advances it. */
  readonly timer: TurnableTimer;
  /** Every log line so far, as JSON text. */
  readonly log: readonly string[];
  send(message: Message, headers?: Record<string, string>): Promise<Answer>;
  /** Runs `facteur ARGS` on the same database: `runs`, `dead-letters`, `refusals`, `maintain` and others. */
  cli(...args: string[]): Promise<CliRun>;
  /** The same with variables, such as FACTEUR_SERVER. */
  cliWith(env: Environment, ...args: string[]): Promise<CliRun>;
  /** The same on a terminal of this width. */
  cliOn(columns: number, env: Environment, ...args: string[]): Promise<CliRun>;
}

/** Starts a complete facteur in this process. It is closed when the test ends. */
export async function startFacteur(options: FacteurOptions): Promise<Facteur> {
  const cluster = options.cluster ?? (await startCluster());
  const config = await testConfig(options.env, options.yaml);
  const db = faultyDatabase(options.db);
  Object.assign(db.faults, options.faults);
  const log: string[] = [];
  const { timer = new TurnableTimer() } = options;
  const context: AppContext = {
    logger: createLogger('debug', { write: (line) => log.push(line) }),
    clock: systemClock,
    timer,
    random: Math.random,
    newId: randomUUID,
    pid: process.pid,
    migrationsDir: MIGRATIONS,
    openDatabase: () => db,
    clusterAccess: async () => options.access ?? accessTo(cluster.url),
    version: 'test',
    commit: 'none',
    ...options.context,
  };
  const app = await startApp(config, context, new Set(options.roles ?? ['http', 'submit']));
  const url = `http://127.0.0.1:${app.address.port}`;
  const intake = `http://127.0.0.1:${app.addressOf('intake').port}`;
  onTestFinished(async () => {
    // Otherwise the close would wait for a hanging create.
    await cluster.disconnect();
    const closed = app.close();
    // After a probe, the close waits for another one.
    await fetch(new URL('/readyz', url)).catch(() => undefined);
    await closed;
  });
  if (options.awaitReady !== false) {
    await app.ready;
  }
  const withLedger: WithLedger = async (_io, _path, work) =>
    work({
      db,
      dispatch: dispatchFor(config, context, {
        db,
        submitter: undefined,
        sessions: { rememberDispatch: async () => undefined },
        wakes: createAnnouncements(db, context.logger),
        rules: () => config,
      }),
      embedder: openEmbedder(config, context).embedder,
      wakes: createAnnouncements(db, context.logger),
      codexEnabled: config.codex.enabled,
      rules: config,
      withCluster: async (use) => {
        const client = createArgoClient(await context.clusterAccess());
        try {
          return await use(client);
        } finally {
          await client.close();
        }
      },
      pages: runPages({ ui: config.argo.uiUrl, trace: config.telemetry.traceUrl }),
    });
  const withStore = storeAccess(withLedger);
  const commands = [
    runsCommand(withStore, context.clock),
    deadLettersCommand(withStore, context.clock),
    submitCommand(withStore),
    maintainCommand(withLedger),
    approvalsCommand(withStore, context.clock),
    refusalsCommand(withStore, context.clock),
    knowledgeCommand(withStore, withLedger),
  ];
  return {
    app,
    url,
    cluster,
    config,
    db: options.db,
    faults: db.faults,
    timer,
    log,
    send: (message, headers) => send(intake, message, headers),
    cli: (...args) => runCommandLine(args, commands),
    cliWith: (env, ...args) => runCommandLine(args, commands, { env }),
    cliOn: (columns, env, ...args) => runCommandLine(args, commands, { columns, env }),
  };
}

/** The configuration of a test's facteur. */
export async function testConfig(env: Environment = {}, yaml?: string): Promise<Config> {
  const { config } = await loadConfig({
    env: { ...TEST_ENV, ...env },
    readFile: async () => yaml ?? '',
    ...(yaml === undefined ? {} : { path: 'facteur.yaml' }),
  });
  return config;
}
