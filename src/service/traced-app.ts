import { startApp, type App } from './app.ts';
import type { AppContext } from './context.ts';
import type { Logger, LogSink } from '../base/logger.ts';
import type { Config } from '../config/config.ts';
import type { Role } from './roles.ts';
import { startTelemetry } from '../telemetry/start.ts';

/** The telemetry and the log of a facteur. */
interface Tracing {
  /** Contains the `OTEL_*` variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Creates a logger, which also writes to the sink, if given. */
  readonly log: (exported?: LogSink) => Logger;
}

/**
 * Starts facteur with the configured telemetry. It is flushed after everything else has stopped. Telemetry's own problems are
 * logged but not exported, which would only cause more.
 */
export async function startTraced(
  config: Config,
  context: AppContext,
  roles: ReadonlySet<Role>,
  { env, log }: Tracing,
): Promise<App> {
  const { version, commit, newId } = context;
  const telemetry = await startTelemetry({ env, version, commit, instanceId: newId(), logger: log() });
  try {
    const { scrape, logSink } = telemetry;
    const app = await startApp(
      config,
      { ...context, logger: log(logSink), ...(scrape === undefined ? {} : { scrape }) },
      roles,
    );
    const close = async (): Promise<void> => {
      try {
        await app.close();
      } finally {
        await telemetry.shutdown();
      }
    };
    return { ...app, close };
  } catch (error) {
    await telemetry.shutdown();
    throw error;
  }
}
