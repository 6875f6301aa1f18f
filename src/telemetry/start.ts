import { isExporting, readTelemetrySettings } from './settings.ts';
import type { Telemetry, TelemetryContext } from './telemetry.ts';

const OFF: Telemetry = { logSink: undefined, scrape: undefined, shutdown: () => Promise.resolve() };

/**
 * Starts the exports that the standard `OTEL_*` variables configure. Without any of them nothing is loaded: the SDK
 * and its exporters are as large as facteur itself.
 */
export async function startTelemetry(context: TelemetryContext): Promise<Telemetry> {
  const settings = readTelemetrySettings(context.env);
  for (const warning of settings.warnings) {
    context.logger.warn({}, `telemetry: ${warning}`);
  }
  if (!isExporting(settings)) {
    return OFF;
  }
  const { startSdk } = await import('./sdk.ts');
  return startSdk(settings, context);
}
