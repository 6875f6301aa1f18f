import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Timer } from '../base/timer.ts';
import type { ClusterAccess } from '../clients/argo/connection.ts';
import type { openDatabase } from '../clients/postgres/open-database.ts';

/** What the composition root takes from the process; tests replace it. */
export interface AppContext {
  readonly logger: Logger;
  readonly clock: Clock;
  /** For the time limits of answers. */
  readonly timer: Timer;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly newId: () => string;
  readonly pid: number;
  readonly migrationsDir: URL;
  /** Replaces the opening of the configured database. */
  readonly openDatabase?: typeof openDatabase;
  /** The cluster to talk to; looked for only when the dispatcher is enabled. */
  readonly clusterAccess: () => Promise<ClusterAccess>;
  /** All metrics in Prometheus's text format; absent if not configured. */
  readonly scrape?: () => Promise<string>;
  readonly version: string;
  readonly commit: string;
}
