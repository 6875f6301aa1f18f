import { MetricReader } from '@opentelemetry/sdk-metrics';
import { prometheusText } from './prometheus-text.ts';

/** What asks the gauges may ask Postgres; a scrape is answered without them rather than late. */
const COLLECT_MS = 5_000;

/** Reads all metrics when somebody asks for them. */
export class ScrapeReader extends MetricReader {
  /** The metrics of this moment in Prometheus's text format. */
  async text(): Promise<string> {
    const { resourceMetrics } = await this.collect({ timeoutMillis: COLLECT_MS });
    return prometheusText(resourceMetrics);
  }

  protected override async onForceFlush(): Promise<void> {
    // Nothing is sent from here, so nothing is left to send.
  }

  protected override async onShutdown(): Promise<void> {
    // As above.
  }
}
