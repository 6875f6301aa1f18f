import type { Database } from './database.ts';
import { openPostgres, type PostgresOptions } from './open-postgres.ts';
import { EMBEDDED_SETTINGS, type Engine, PoolDatabase } from './pool-database.ts';

interface DatabaseOptions extends PostgresOptions {
  /** This process's id, for the error of another process that wants the same embedded directory. */
  readonly pid: number;
}

/**
 * The database that a DSN names: `pglite:memory`, `pglite:DIR`, else PostgreSQL. Opening neither connects nor loads the
 * embedded engine: the first statement does, and gets the error if that fails.
 */
export function openDatabase(options: DatabaseOptions): Database {
  const { dsn, pid, onLost } = options;
  if (!dsn.startsWith('pglite:')) {
    return openPostgres(options);
  }
  const directory = dsn.slice('pglite:'.length);
  return new PoolDatabase(
    bootedWhenUsed(async () => {
      const { bootPglite } = await import('./open-pglite.ts');
      return bootPglite({ pid, onLost, ...(directory === 'memory' ? {} : { directory }) });
    }),
  );
}

/** Boots on first use, and only once, even if that fails. */
function bootedWhenUsed(boot: () => Promise<Engine>): Engine {
  let booting: Promise<Engine> | undefined;
  const booted = (): Promise<Engine> => (booting ??= boot());
  return {
    settings: EMBEDDED_SETTINGS,
    acquire: async () => (await booted()).acquire(),
    acquireProbe: async () => (await booted()).acquireProbe(),
    listen: async (channel, handler) => (await booted()).listen(channel, handler),
    end: async () => {
      // The first user already got the error; then there is nothing to close.
      const engine = await booting?.catch(() => undefined);
      await engine?.end();
    },
  };
}
