import type { App } from '../service/app.ts';
import { logLevel } from '../base/log-level.ts';
import { bothSinks, createLogger, type Logger, type LogSink } from '../base/logger.ts';
import { pause } from '../base/timer.ts';
import { readableLog } from '../base/readable-log.ts';
import type { BuildVersion } from './build-version.ts';
import { EVERYTHING, type Config } from '../config/config.ts';
import type { CliIo } from './io.ts';
import { processContext } from './process-context.ts';
import { isConsumerEnabled, readConfig } from './read-config.ts';
import type { ServeRequest } from './serve.ts';
import type { AppContext } from '../service/context.ts';
import { startTraced } from '../service/traced-app.ts';
import { CONSUME_ROLES, ROLES, SERVE_ROLES, type Role } from '../service/roles.ts';

/** Delay of linting the templates after a service is ready: the first requests take precedence. */
const LINT_AFTER_MS = 2_000;

/** Starts the roles of `serve` as the configuration says. */
export async function serve(io: CliIo, { configPath, only }: ServeRequest, build: BuildVersion): Promise<App> {
  const logger = loggerFor(io);
  const roles = ROLES.filter((role) => only?.includes(role) ?? SERVE_ROLES.includes(role));
  const { config } = await readConfig(io, {
    path: configPath,
    require: EVERYTHING,
    reads: (group) => group !== 'codex_listener' && (group !== 'consumer' || roles.includes('kafka')),
    warn: warnIn(logger),
  });
  if (roles.includes('http') && config.discord.publicKey === undefined) {
    logger.warn({}, 'discord.public_key is not configured: /discord/interactions answers 503');
  }
  const app = await startOnTerminal(io, config, build, roles);
  if (roles.includes('submit')) {
    // Linting has its own client: it may still wait for a cluster that did not answer at the start.
    const context = processContext(io, { ...build, logger });
    void app.ready.then(
      () => lintLater(config, context, io.signal),
      () => undefined,
    );
  }
  return app;
}

async function lintLater(config: Config, context: AppContext, signal: AbortSignal): Promise<void> {
  await pause(LINT_AFTER_MS, signal);
  if (!signal.aborted) {
    const { lintConfigured } = await import('../service/lint-configured.ts');
    await lintConfigured(config, context, signal);
  }
}

/** Like `serve`, with Kafka as the door instead of HTTP; undefined if the configuration does not enable it. */
export async function consume(
  io: CliIo,
  configPath: string | undefined,
  build: BuildVersion,
): Promise<App | undefined> {
  const warn = warnIn(loggerFor(io));
  if (!(await isConsumerEnabled(io, configPath, warn))) {
    return undefined;
  }
  const { config } = await readConfig(io, {
    path: configPath,
    require: EVERYTHING,
    reads: (group) => group !== 'codex_listener',
    warn,
  });
  return startOnTerminal(io, config, build, CONSUME_ROLES);
}

/** Logs warnings of the configuration, for services. */
function warnIn(logger: Logger): (warning: string) => void {
  return (warning) => logger.warn({}, `configuration: ${warning}`);
}

async function startOnTerminal(io: CliIo, config: Config, build: BuildVersion, roles: readonly Role[]): Promise<App> {
  const log = (exported?: LogSink): Logger => loggerFor(io, exported);
  const context = processContext(io, { ...build, logger: log() });
  const app = await startTraced(config, context, new Set(roles), { env: io.env, log });
  void app.ready.then(io.onStarted, () => undefined);
  return app;
}

/** Starts the service with the process's own clock, randomness and files. */
export function startServing(config: Config, io: CliIo, build: BuildVersion & { logger: Logger }): Promise<App> {
  const tracing = { env: io.env, log: () => build.logger };
  return startTraced(config, processContext(io, build), new Set(SERVE_ROLES), tracing);
}

/** Logs one JSON object per line, or readable lines on a terminal, from the level `FACTEUR_LOG_LEVEL` on. */
function loggerFor(io: CliIo, exported?: LogSink): Logger {
  // Loading the configuration warns about any other value.
  const level = logLevel(io.env['FACTEUR_LOG_LEVEL'] ?? '') ?? 'info';
  const seen = io.stdout.isTTY ? readableLog(io.stdout, (io.env['NO_COLOR'] ?? '') === '') : io.stdout;
  return createLogger(level, exported === undefined ? seen : bothSinks(seen, exported));
}
