import { startApp, type App } from './app.ts';
import type { AppContext } from './context.ts';
import type { Logger, LogSink } from '../base/logger.ts';
import type { Config } from '../config/config.ts';
import type { Role } from './roles.ts';
import { startTelemetry } from '../telemetry/start.ts';

/** How a facteur is traced, and where its log goes. */
interface Tracing {
  /** Holds the `OTEL_*` variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A logger; where a sink is given, its lines go there too. */
  readonly log: (exported?: LogSink) => Logger;
}

/**
 * Starts facteur with the configured telemetry. The rest of it is sent after everything else has ended. Telemetry's
 * own problems are logged but not exported, which would only cause more of them.
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
