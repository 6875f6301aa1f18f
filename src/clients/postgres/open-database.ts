import type { Database } from './database.ts';
import { openPostgres, type PostgresOptions } from './open-postgres.ts';

export interface DatabaseOptions extends PostgresOptions {
  /** Of this process, to name it to another one that wants the same embedded directory. */
  readonly pid: number;
}

/**
 * The database that a DSN names: `pglite:memory`, `pglite:DIR`, else PostgreSQL. The embedded engine is loaded only
 * when it is asked for.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  if (!options.dsn.startsWith('pglite:')) {
    return openPostgres(options);
  }
  const { openPglite } = await import('./open-pglite.ts');
  const directory = options.dsn.slice('pglite:'.length);
  return openPglite({ pid: options.pid, onLost: options.onLost, ...(directory === 'memory' ? {} : { directory }) });
}
