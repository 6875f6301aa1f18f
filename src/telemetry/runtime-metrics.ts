import { RuntimeNodeInstrumentation } from '@opentelemetry/instrumentation-runtime-node';
import type { MeterProvider } from '@opentelemetry/sdk-metrics';

/** Coarse enough to cost nothing that can be measured, fine enough to see what blocks the event loop. */
const PRECISION_MS = 20;

/** Metrics of Node itself (event loop, garbage collection, heap); the function that is returned ends them. */
export function observeRuntime(provider: MeterProvider): () => void {
  const runtime = new RuntimeNodeInstrumentation({ monitoringPrecision: PRECISION_MS });
  runtime.setMeterProvider(provider);
  return () => runtime.disable();
}
