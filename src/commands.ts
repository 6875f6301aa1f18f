import { randomUUID } from 'node:crypto';
import type { App } from './app.ts';
import type { AppContext } from './app-context.ts';
import { bothSinks, createLogger, type Logger, type LogSink } from './base/logger.ts';
import { systemClock } from './base/clock.ts';
import { errorMessage } from './base/errors.ts';
import { readableLog } from './base/readable-log.ts';
import type { BuildVersion } from './build-version.ts';
import { loadMigrations } from './clients/postgres/load-migrations.ts';
import { migrate } from './clients/postgres/migrate.ts';
import { openDatabase } from './clients/postgres/open-database.ts';
import type { Config, Requirement } from './config/config.ts';
import { listenForCommandLine } from './codex-listener.ts';
import { dispatchFor, openLedger } from './core.ts';
import { createAnnouncements } from './ledger/announcements.ts';
import { formatFault } from './config/fault.ts';
import { loadConfig } from './config/load.ts';
import { codexListenCommand } from './entry/cli/codex-listen.ts';
import { commandsCommand } from './entry/cli/commands.ts';
import { codexCommand } from './entry/cli/codex-encode.ts';
import { consumeCommand } from './entry/cli/consume.ts';
import { configCommand, loadOptions } from './entry/cli/config.ts';
import { explainCommand } from './entry/cli/explain.ts';
import type { CliIo } from './entry/cli/io.ts';
import { deadLettersCommand } from './entry/cli/dead-letters.ts';
import type { WithLedger } from './entry/cli/ledger-access.ts';
import { maintainCommand } from './entry/cli/maintain.ts';
import { migrateCommand, type Applied } from './entry/cli/migrate.ts';
import type { RegisterCommand } from './entry/cli/program.ts';
import { runsCommand } from './entry/cli/runs.ts';
import { sendCommand } from './entry/cli/send.ts';
import { serveCommand, type ServeRequest } from './entry/cli/serve.ts';
import { versionCommand } from './entry/cli/version.ts';
import { startObserved } from './observed-app.ts';
import { CONSUME_ROLES, ROLES, SERVE_ROLES, type Role } from './roles.ts';
import { sandboxCommand } from './sandbox-command.ts';

/** Everything that `facteur` can do, wired to the product. */
export function allCommands(build: BuildVersion): readonly RegisterCommand[] {
  const withLedger = ledgerAccess(build);
  return [
    serveCommand(ROLES, (io, request) => serve(io, request, build)),
    consumeCommand((io, path) => consume(io, path, build)),
    sandboxCommand(startServing, build),
    codexListenCommand(listenForCommandLine),
    migrateCommand(migrateOnly),
    runsCommand(withLedger),
    deadLettersCommand(withLedger),
    maintainCommand(withLedger),
    commandsCommand(build.version),
    explainCommand(systemClock),
    sendCommand({ clock: systemClock, random: Math.random }),
    codexCommand,
    configCommand,
    versionCommand(build.version, build.commit),
  ];
}

async function serve(io: CliIo, { configPath, only }: ServeRequest, build: BuildVersion): Promise<App> {
  const logger = loggerFor(io);
  const config = await loadAndWarn(io, configPath, logger);
  const roles = ROLES.filter((role) => only?.includes(role) ?? SERVE_ROLES.includes(role));
  if (roles.includes('http') && config.discord.publicKey === undefined) {
    logger.warn({}, 'discord.public_key is not configured: /discord/interactions answers 503');
  }
  return startOnTerminal(io, config, build, roles);
}

/** The same as `serve`, with Kafka for a door instead of HTTP; nothing when the configuration does not enable it. */
async function consume(io: CliIo, configPath: string | undefined, build: BuildVersion): Promise<App | undefined> {
  const logger = loggerFor(io);
  const config = await loadAndWarn(io, configPath, logger);
  return config.consumer.enabled ? startOnTerminal(io, config, build, CONSUME_ROLES) : undefined;
}

async function loadAndWarn(io: CliIo, configPath: string | undefined, logger: Logger): Promise<Config> {
  const { config, warnings } = await loadConfig(loadOptions(io, configPath));
  for (const warning of warnings) {
    logger.warn({}, `configuration: ${formatFault(warning)}`);
  }
  return config;
}

function startOnTerminal(io: CliIo, config: Config, build: BuildVersion, roles: readonly Role[]): Promise<App> {
  const log = (exported?: LogSink): Logger => loggerFor(io, exported);
  return startObserved(config, contextOf(io, { ...build, logger: log() }), new Set(roles), { env: io.env, log });
}

/** Starts the service with the process's own clock, randomness and files. */
export function startServing(config: Config, io: CliIo, build: BuildVersion & { logger: Logger }): Promise<App> {
  const observation = { env: io.env, log: () => build.logger };
  return startObserved(config, contextOf(io, build), new Set(SERVE_ROLES), observation);
}

function contextOf(io: CliIo, build: BuildVersion & { logger: Logger }): AppContext {
  return {
    logger: build.logger,
    clock: systemClock,
    random: Math.random,
    newId: randomUUID,
    pid: io.pid,
    migrationsDir: io.migrationsDir,
    clusterAccess: async () =>
      (await import('./clients/argo/kubeconfig.ts')).resolveClusterAccess({
        environment: io.env,
        homeDirectory: io.homeDir,
        clock: systemClock,
      }),
    version: build.version,
    commit: build.commit,
  };
}

/** What an operator has run is nobody's last request. */
const NO_SESSIONS = { rememberDispatch: () => Promise.resolve() };

/** Where nothing is planned anew, nobody asks for a target. */
const NO_TARGET: Config['argo'] = { namespace: '', workflowTemplate: '', serviceAccount: '', parameters: {} };

/** The ledger for commands that run beside a serving facteur: they record, and its submitter does the rest. */
function ledgerAccess(build: BuildVersion): WithLedger {
  return async (io, { configPath, plans = false }, work) => {
    const needed: readonly Requirement[] = plans ? ['postgres', 'argo'] : ['postgres'];
    const { config } = await loadConfig({ ...loadOptions(io, configPath), require: needed });
    const context = contextOf(io, { ...build, logger: createLogger('warn', io.stderr) });
    const db = await openLedger(config, context);
    const announcements = createAnnouncements(db, context.logger);
    try {
      const parts = { db, submitter: undefined, sessions: NO_SESSIONS, announcements };
      const dispatch = dispatchFor({ ...config, argo: config.argo ?? NO_TARGET }, context, parts);
      return await work({ db, dispatch, codexEnabled: config.codex.enabled });
    } finally {
      await announcements.flush();
      await db.close();
    }
  };
}

/** One JSON object a line, or readable lines when a person is looking. `FACTEUR_LOG_LEVEL` chooses how much. */
export function loggerFor(io: CliIo, exported?: LogSink): Logger {
  const wanted = io.env['FACTEUR_LOG_LEVEL'] ?? '';
  const level = wanted === 'debug' || wanted === 'warn' || wanted === 'error' ? wanted : 'info';
  const seen = io.stdout.isTTY ? readableLog(io.stdout, (io.env['NO_COLOR'] ?? '') === '') : io.stdout;
  return createLogger(level, exported === undefined ? seen : bothSinks(seen, exported));
}

async function migrateOnly(io: CliIo, configPath: string | undefined): Promise<readonly Applied[]> {
  const { config } = await loadConfig({ ...loadOptions(io, configPath), require: ['postgres'] });
  const db = await openDatabase({
    dsn: config.postgres.dsn.reveal(),
    pid: io.pid,
    random: Math.random,
    onLost: (error) => io.stderr.write(`${errorMessage(error)}\n`),
  });
  try {
    return await migrate(db, await loadMigrations(io.migrationsDir));
  } finally {
    await db.close();
  }
}
