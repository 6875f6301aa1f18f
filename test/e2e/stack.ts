import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { stopService } from '../../scripts/services/lifecycle.ts';
import { postgres } from '../../scripts/services/postgres.ts';
import { FacteurProcess } from '../support/facteur-process.ts';
import { administer, withDatabase } from '../../scripts/services/own-database.ts';

/** A running facteur and the database it writes to. */
export interface Stack {
  /** Without a trailing slash. */
  readonly baseUrl: string;
  readonly dsn: string;
  close(): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The stack in FACTEUR_E2E_BASE_URL and FACTEUR_E2E_POSTGRES_DSN; without them our own, on a real PostgreSQL: the one in
 * FACTEUR_TEST_POSTGRES_DSN, else a new one.
 *
 * @throws Error if only one of the two is set: checking one facteur against another's database proves nothing
 */
export async function openStack(env: Environment): Promise<Stack> {
  const [baseUrl = '', dsn = ''] = [env['FACTEUR_E2E_BASE_URL']?.trim(), env['FACTEUR_E2E_POSTGRES_DSN']?.trim()];
  if (baseUrl !== '' && dsn !== '') {
    return { baseUrl: baseUrl.replace(/\/+$/, ''), dsn, close: () => Promise.resolve() };
  }
  if (baseUrl !== '' || dsn !== '') {
    throw new Error('set both FACTEUR_E2E_BASE_URL and FACTEUR_E2E_POSTGRES_DSN, or neither');
  }
  const server = await openServer(env['FACTEUR_TEST_POSTGRES_DSN']);
  try {
    return await startFacteur(server);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

interface Server {
  readonly dsn: string;
  stop(): Promise<void>;
}

async function openServer(present: string | undefined): Promise<Server> {
  if (present !== undefined && present !== '') {
    return { dsn: present, stop: () => Promise.resolve() };
  }
  const cache = join(import.meta.dirname, '../../.services/cache');
  mkdirSync(cache, { recursive: true });
  const started = await postgres.start({ cache, say: (line) => console.error(`e2e: ${line}`) });
  return { dsn: started.value, stop: () => stopService(started) };
}

async function startFacteur(server: Server): Promise<Stack> {
  const database = `facteur_e2e_${randomBytes(6).toString('hex')}`;
  await administer(server.dsn, `CREATE DATABASE ${database}`);
  const dsn = withDatabase(server.dsn, database);
  const facteur = new FacteurProcess({ env: { FACTEUR_POSTGRES_DSN: dsn, FACTEUR_DISABLE_DISPATCHER: 'true' } });
  const close = async (): Promise<void> => {
    await facteur.stop();
    await administer(server.dsn, `DROP DATABASE ${database} WITH (FORCE)`);
    await server.stop();
  };
  try {
    await facteur.ready();
    return { baseUrl: facteur.url, dsn, close };
  } catch (error) {
    await close();
    throw error;
  }
}
