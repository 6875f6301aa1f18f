import { counter } from '../../base/metrics.ts';

const OUTCOMES = ['pass', 'fail', 'waived'] as const;

/** Metrics of what workflows report about themselves. */
export class ReportEvents {
  readonly #anomalies = counter(
    'facteur_anomaly_checks_total',
    OUTCOMES.map((outcome) => ({ outcome })),
  );

  /** The result of an anomaly check was stored for the first time. */
  anomalyChecked(outcome: (typeof OUTCOMES)[number]): void {
    this.#anomalies.add(1, { outcome });
  }
}
