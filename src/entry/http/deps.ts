import type { Clock } from '../../base/clock.ts';
import type { Gate } from '../../base/gate.ts';
import type { Logger } from '../../base/logger.ts';
import type { Secret } from '../../base/secret.ts';
import type { DispatchEvents } from '../../dispatch/dispatch-events.ts';
import type { Dispatch } from '../../dispatch/dispatch.ts';
import type { NewDeadLetter } from '../../ledger/unprocessed.ts';
import type { ApiDeps } from '../api/deps.ts';
import type { ApiDoor } from '../api/register.ts';
import type { Admission } from './admission.ts';
import type { FarewellTimes } from './farewell.ts';
import type { InteractionsRoute } from './interactions-route.ts';

/** Whether the process is ready, and the state of each dependency: `ok`, or a public word for the problem. */
export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, string>>;
}

/**
 * A permanently refused request. `headers` are those needed for a replay, `:path` is its destination, and `:cut` is present if
 * the body is incomplete.
 */
export type RefusedLetter = Omit<NewDeadLetter, 'attempts'>;

/** Time limits for clients, in milliseconds. */
export interface HttpTimeouts {
  /** From the first byte of a request, or from connecting, to the end of its headers. */
  readonly headersMs: number;
  /** From the first byte of a request to its last. */
  readonly requestMs: number;
  /** How long a connection may wait for its next request. */
  readonly keepAliveMs: number;
  /** How often the first two limits are checked. */
  readonly checkMs: number;
}

/** The machine's resolver, as in `node:dns/promises`. */
export type Lookup = (name: string, options: { readonly order: 'ipv4first' }) => Promise<{ readonly address: string }>;

/**
 * The dependencies of the HTTP door. `dispatch` and `park` throw a retryable FacteurError while they cannot work: then the sender
 * gets 503 with `Retry-After`, as while the gate is closed.
 */
export interface HttpDeps {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Creates a delivery id for a request without one. */
  readonly newId: () => string;
  readonly version: string;
  readonly commit: string;
  readonly maxBodyBytes: number;
  /** Limits intake requests. */
  readonly admission: Admission;
  /** Bearer tokens for the intake routes; if empty, they are open. */
  readonly intakeTokens: readonly Secret[];
  /** Whether intake accepts the token of a service account; absent without `server.intake_oidc`. */
  readonly acceptsAccount?: (token: string) => Promise<boolean>;
  readonly codexEnabled: boolean;
  /** Opens when `dispatch` and `park` have a ledger. */
  readonly gate: Pick<Gate, 'pass'>;
  readonly dispatch: Pick<Dispatch, 'command' | 'codexTask'>;
  /** Stores a permanently refused CloudEvent; durable when it resolves. */
  readonly park: (letter: RefusedLetter) => Promise<void>;
  /** Called for command events that never reach `dispatch`. */
  readonly events: Pick<DispatchEvents, 'commandFailed' | 'commandDeadLettered'>;
  /** Called for every `/readyz`, so it must answer from known data without waiting. */
  readonly readiness: () => Readiness | Promise<Readiness>;
  readonly timeouts?: HttpTimeouts;
  readonly farewell?: FarewellTimes;
  /** Replaced in tests. */
  readonly lookup?: Lookup;
  /** Maximum number of connections; beyond it only `/healthz` is answered, and all others get 503. */
  readonly maxConnections?: number;
  /** All metrics in Prometheus's text format; absent if not configured. */
  readonly scrape?: () => Promise<string>;
  /** Absent if Discord is not served. */
  readonly interactions?: InteractionsRoute;
  /** Called for the first request to `/v1`; absent if it is not served. */
  readonly api?: () => Promise<ApiDoor<ApiDeps>>;
}
