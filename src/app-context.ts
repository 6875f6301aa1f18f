import type { Clock } from './base/clock.ts';
import type { Logger } from './base/logger.ts';
import type { ClusterAccess } from './clients/argo/connection.ts';
import type { openDatabase } from './clients/postgres/open-database.ts';

/** What the composition root takes from the process; tests put their own in its place. */
export interface AppContext {
  readonly logger: Logger;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly newId: () => string;
  readonly pid: number;
  readonly migrationsDir: URL;
  /** Set where the database of the configuration is not to be opened by its DSN. */
  readonly openDatabase?: typeof openDatabase;
  /** The cluster to talk to; looked for only when the dispatcher is enabled. */
  readonly clusterAccess: () => Promise<ClusterAccess>;
  /** All metrics in Prometheus's text format; absent where nobody asked for them. */
  readonly scrape?: () => Promise<string>;
  readonly version: string;
  readonly commit: string;
}
