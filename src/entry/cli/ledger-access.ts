import type { Database } from '../../clients/postgres/database.ts';
import type { Dispatch } from '../../dispatch/dispatch.ts';
import type { CliIo } from './io.ts';

/** The ledger and what may be done with it, for a command that runs beside a serving facteur. */
export interface LedgerAccess {
  readonly db: Database;
  readonly dispatch: Dispatch;
  /** Whether Codex tasks are taken at present. */
  readonly codexEnabled: boolean;
}

/**
 * Opens the ledger of the configuration for the time of `work`. Only Postgres has to be configured, unless something is to
 * be planned anew: a CronJob that tidies up needs no bot token.
 */
export type WithLedger = <T>(
  io: CliIo,
  request: { readonly configPath: string | undefined; readonly plans?: boolean },
  work: (access: LedgerAccess) => Promise<T>,
) => Promise<T>;
