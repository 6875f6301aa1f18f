import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/logger.ts';
import type { Secret } from '../../base/secret.ts';
import type { CommandMetrics } from '../../dispatch/command-metrics.ts';
import type { Dispatch } from '../../dispatch/dispatch.ts';
import type { NewDeadLetter } from '../../ledger/dead-letters.ts';
import type { InteractionsRoute } from './interactions-route.ts';

/** Whether requests may come, and how each dependency is: `ok`, or a word for what is wrong that may be shown to anybody. */
export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, string>>;
}

/**
 * What came in and was refused for good. Its `headers` are those that matter for another try, and `:path` says where it
 * was sent to.
 */
export type RefusedLetter = Omit<NewDeadLetter, 'attempts'>;

/** How long a client may take, in milliseconds. */
export interface HttpTimeouts {
  /** From the first byte of a request, or from connecting, to the end of its headers. */
  readonly headersMs: number;
  /** From the first byte of a request to its last. */
  readonly requestMs: number;
  /** How long a connection may wait for its next request. */
  readonly keepAliveMs: number;
  /** How often the first two are checked. */
  readonly checkMs: number;
}

/**
 * What the HTTP door needs from the rest. `dispatch` and `park` throw a retryable FacteurError while they cannot do
 * their work: the sender is then told to come again.
 */
export interface HttpDeps {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Makes a delivery id for a request that brings none. */
  readonly newId: () => string;
  readonly version: string;
  readonly commit: string;
  readonly maxBodyBytes: number;
  /** Bearer tokens for the intake routes; none means open. */
  readonly intakeTokens: readonly Secret[];
  readonly codexEnabled: boolean;
  readonly dispatch: Pick<Dispatch, 'command' | 'codexTask'>;
  /** Keeps a CloudEvent that was refused for good; durable when it resolves. */
  readonly park: (letter: RefusedLetter) => Promise<void>;
  /** Told of command events that never get as far as `dispatch`. */
  readonly commandMetrics: CommandMetrics;
  /** Asked at every `/readyz`, so it must answer from what is known and wait for nothing. */
  readonly readiness: () => Readiness | Promise<Readiness>;
  readonly timeouts?: HttpTimeouts;
  /** All metrics in Prometheus's text format; absent where nobody asked for them. */
  readonly scrape?: () => Promise<string>;
  /** Absent where Discord is not served. */
  readonly interactions?: InteractionsRoute;
}
