import { setTimeout } from 'node:timers/promises';
import { backoffMs } from '../base/backoff.ts';
import { errorMessage, FacteurError } from '../base/errors.ts';
import type { Database } from '../clients/postgres/database.ts';
import { loadMigrations } from '../clients/postgres/load-migrations.ts';
import { migrate } from '../clients/postgres/migrate.ts';
import { openDatabase } from '../clients/postgres/open-database.ts';
import type { Config } from '../config/config.ts';
import type { AppContext } from './context.ts';

/** The configured database; it connects on first use. */
export function openLedger(config: Pick<Config, 'postgres'>, context: AppContext): Database {
  return (context.openDatabase ?? openDatabase)({
    dsn: config.postgres.dsn.reveal(),
    pid: context.pid,
    random: context.random,
    onLost: (error) => context.logger.warn({ error: errorMessage(error) }, 'lost a database connection'),
  });
}

/** Migrates the schema, however long Postgres takes to come up. */
export function migrateLedger(db: Database, context: AppContext, signal: AbortSignal): Promise<void> {
  const { migrationsDir, logger } = context;
  const onWait = (): void => logger.info({}, 'waiting for another process that is migrating the database');
  return whenReachable(
    async () => {
      const migrations = await loadMigrations(migrationsDir);
      for (const { name } of await migrate(db, migrations, { signal, onWait })) {
        logger.info({ migration: name }, 'migration applied');
      }
    },
    context,
    signal,
  );
}

/**
 * Migrates as soon as Postgres is reachable, without a time limit. If the database is unusable (because of a missing permission,
 * for example), the start fails: an operator must fix this, and will notice a failed process.
 */
export async function whenReachable<T>(
  work: () => Promise<T>,
  { logger, random }: Pick<AppContext, 'logger' | 'random'>,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const passing = error instanceof FacteurError && error.retryable && error.code !== 'postgres.broken';
      if (!passing || signal.aborted) {
        throw error;
      }
      logger.warn({ attempt, error: errorMessage(error) }, 'waiting for postgres');
      await setTimeout(backoffMs(attempt, { firstMs: 250, maxMs: 5000 }, random()), undefined, { signal });
    }
  }
}
