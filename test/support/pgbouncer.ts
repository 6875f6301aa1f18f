import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { freePort, serverDirectory, startDaemon, stopDaemon } from '../../scripts/services/daemon.ts';
import { unprivileged } from '../../scripts/services/postgres.ts';

export interface PgBouncer {
  /** The database behind it; accepts any user without a password. */
  readonly dsn: string;
  stop(): Promise<void>;
}

/** Starts PgBouncer in session mode in front of this database, with its defaults. */
export async function startPgBouncer(dsn: string): Promise<PgBouncer> {
  const command = process.env['FACTEUR_TEST_PGBOUNCER'] ?? '';
  if (command === '') {
    throw new Error('FACTEUR_TEST_PGBOUNCER must name PgBouncer: npm run test:services provides it');
  }
  const { port, pathname, password } = new URL(dsn);
  const ours = await freePort();
  const identity = unprivileged();
  const directory = serverDirectory('pgbouncer', identity);
  const file = join(directory, 'pgbouncer.ini');
  const text = readFileSync(new URL('../cases/pgbouncer-session.ini', import.meta.url), 'utf8')
    .replace('PGPORT', port)
    .replace('DB', pathname.slice(1))
    .replace('PGPASSWORD', password)
    .replace('16432', `${ours}`);
  writeFileSync(file, `${text}\nunix_socket_dir =\n`, { mode: 0o600 });
  if (identity !== undefined) {
    chownSync(file, identity.uid, identity.gid);
  }
  const address = `postgres://app:x@127.0.0.1:${ours}/facteur?sslmode=disable`;
  const daemon = await startDaemon({
    command,
    args: [file],
    directory,
    identity,
    stopSignal: 'SIGTERM',
    ready: () => ping(address),
  });
  return { dsn: address, stop: () => stopDaemon(daemon) };
}

async function ping(address: string): Promise<void> {
  const client = new Client({ connectionString: address, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined);
  await client.connect();
  await client.end();
}
