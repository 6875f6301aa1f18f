import { isEnabled, readTelemetrySettings } from './settings.ts';
import type { Telemetry, TelemetryContext } from './telemetry.ts';

const OFF: Telemetry = { logSink: undefined, scrape: undefined, shutdown: () => Promise.resolve() };

/**
 * Begins to export what the standard `OTEL_*` variables ask for. Without any of them nothing is loaded: the SDK and its
 * exporters are a second program of the size of this one.
 */
export async function startTelemetry(context: TelemetryContext): Promise<Telemetry> {
  const settings = readTelemetrySettings(context.env);
  for (const warning of settings.warnings) {
    context.logger.warn({}, `telemetry: ${warning}`);
  }
  if (!isEnabled(settings)) {
    return OFF;
  }
  const { startSdk } = await import('./sdk.ts');
  return startSdk(settings, context);
}
