import { randomUUID } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { startApp, type App } from '../../src/app.ts';
import type { AppContext } from '../../src/app-context.ts';
import { dispatchFor } from '../../src/core.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createLogger } from '../../src/base/logger.ts';
import type { Database } from '../../src/clients/postgres/database.ts';
import type { Config } from '../../src/config/config.ts';
import type { Environment } from '../../src/config/environment.ts';
import { loadConfig } from '../../src/config/load.ts';
import { deadLettersCommand } from '../../src/entry/cli/dead-letters.ts';
import type { WithLedger } from '../../src/entry/cli/ledger-access.ts';
import { maintainCommand } from '../../src/entry/cli/maintain.ts';
import { runsCommand } from '../../src/entry/cli/runs.ts';
import { createAnnouncements } from '../../src/ledger/announcements.ts';
import type { Role } from '../../src/roles.ts';
import type { SimulatedCluster } from '../../src/sandbox/cluster/cluster.ts';
import { runCommandLine, type CliRun } from './cli.ts';
import { accessTo, NAMESPACE, startCluster, TEMPLATE } from './cluster.ts';
import { MINIMAL_ENV } from './config.ts';
import { MIGRATIONS } from './database.ts';
import { faultyDatabase, type DatabaseFaults } from './faulty-database.ts';
import { send, type Answer, type Message } from './messages.ts';

/** A whole facteur of a test, listening on a free port, with commands and Codex tasks going to the simulated cluster. */
export const TEST_ENV: Environment = {
  ...MINIMAL_ENV,
  FACTEUR_SERVER_LISTEN_ADDRESS: '127.0.0.1:0',
  FACTEUR_ARGO_NAMESPACE: NAMESPACE,
  FACTEUR_ARGO_WORKFLOW_TEMPLATE: TEMPLATE.name,
  FACTEUR_CODEX_IMPLEMENTATION_ORCHESTRATOR_ENABLED: 'true',
  FACTEUR_CODEX_IMPLEMENTATION_ORCHESTRATOR_WORKFLOW_TEMPLATE: TEMPLATE.name,
};

export interface FacteurOptions {
  /** Shared with whoever else has it: closing facteur leaves it open. */
  readonly db: Database;
  /** A fresh one unless given; closed when the test ends. */
  readonly cluster?: SimulatedCluster;
  /** Laid over {@link TEST_ENV}. */
  readonly env?: Environment;
  /** A configuration file's text. */
  readonly yaml?: string;
  readonly context?: Partial<AppContext>;
  /** HTTP and submission unless given, so that runs stay `submitted`. */
  readonly roles?: readonly Role[];
  /** In force from the first statement on. */
  readonly faults?: Partial<DatabaseFaults>;
  /** False for one whose database the test holds up. */
  readonly awaitReady?: boolean;
}

/** A facteur in this process. */
export interface Facteur {
  readonly app: App;
  readonly url: string;
  readonly cluster: SimulatedCluster;
  readonly config: Config;
  /** What happens to the statements of this facteur; those of others on the same database go their way. */
  readonly faults: DatabaseFaults;
  /** Every log line so far, as JSON text. */
  readonly log: readonly string[];
  send(message: Message, headers?: Record<string, string>): Promise<Answer>;
  /** `facteur ARGS` beside it: `runs`, `dead-letters` and `maintain`, on the same database. */
  cli(...args: string[]): Promise<CliRun>;
}

/** Starts a whole facteur in this process; it is closed when the test ends. */
export async function startFacteur(options: FacteurOptions): Promise<Facteur> {
  const cluster = options.cluster ?? (await startCluster());
  const config = await testConfig(options.env, options.yaml);
  const db = faultyDatabase(options.db);
  Object.assign(db.faults, options.faults);
  const log: string[] = [];
  const context: AppContext = {
    logger: createLogger('debug', { write: (line) => log.push(line) }),
    clock: systemClock,
    random: Math.random,
    newId: randomUUID,
    pid: process.pid,
    migrationsDir: MIGRATIONS,
    openDatabase: async () => db,
    clusterAccess: async () => accessTo(cluster.url),
    version: 'test',
    commit: 'none',
    ...options.context,
  };
  const app = await startApp(config, context, new Set(options.roles ?? ['http', 'submit']));
  onTestFinished(async () => {
    // A create that hangs would otherwise be waited for.
    await cluster.disconnect();
    await app.close();
  });
  if (options.awaitReady !== false) {
    await app.ready;
  }
  const url = `http://127.0.0.1:${app.address.port}`;
  const withLedger: WithLedger = async (_io, _path, work) =>
    work({
      db,
      dispatch: dispatchFor(config, context, {
        db,
        submitter: undefined,
        sessions: { rememberDispatch: async () => undefined },
        announcements: createAnnouncements(db, context.logger),
      }),
      codexEnabled: config.codex.enabled,
    });
  const commands = [runsCommand(withLedger), deadLettersCommand(withLedger), maintainCommand(withLedger)];
  return {
    app,
    url,
    cluster,
    config,
    faults: db.faults,
    log,
    send: (message, headers) => send(url, message, headers),
    cli: (...args) => runCommandLine(args, commands),
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
