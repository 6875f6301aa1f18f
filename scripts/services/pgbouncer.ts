import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aptGet, canInstall, onPath } from './executables.ts';
import type { Service, ServiceContext, StartedService } from './service.ts';

/** PgBouncer's executable: tests decide which database it serves, so tests start it. */
export const pgbouncer: Service = {
  name: 'pgbouncer',
  variable: 'FACTEUR_TEST_PGBOUNCER',
  start: async (context): Promise<StartedService> => ({ value: executable(context), daemons: [] }),
};

function executable(context: ServiceContext): string {
  const found = onPath('pgbouncer');
  if (found !== undefined) {
    return found;
  }
  if (!canInstall()) {
    throw new Error('no pgbouncer on PATH: install it (apt-get install pgbouncer), or set FACTEUR_TEST_PGBOUNCER');
  }
  return join(unpacked(context), 'pgbouncer');
}

/**
 * Debian's packages, unpacked and not installed: installing would start a server and take a port. They are outside the checkout,
 * which the server's user may not be able to read.
 */
function unpacked({ say }: ServiceContext): string {
  const directory = join(tmpdir(), 'facteur-pgbouncer');
  if (existsSync(directory)) {
    if (statSync(directory).uid !== process.getuid?.()) {
      throw new Error(`${directory} belongs to somebody else; remove it`);
    }
    return directory;
  }
  say('downloading PgBouncer (once)');
  const draft = `${directory}.${process.pid}`;
  const archives = join(draft, 'archives');
  mkdirSync(join(archives, 'partial'), { recursive: true, mode: 0o755 });
  aptGet('update');
  const options = ['--download-only', '--no-install-recommends', '-o', `Dir::Cache::archives=${archives}`];
  aptGet('install', '-y', ...options, 'pgbouncer');
  for (const name of readdirSync(archives).filter((file) => file.endsWith('.deb'))) {
    execFileSync('dpkg-deb', ['--extract', join(archives, name), draft]);
  }
  rmSync(archives, { recursive: true });
  const start = join(draft, 'pgbouncer');
  writeFileSync(start, START);
  chmodSync(start, 0o755);
  renameSync(draft, directory);
  return directory;
}

/** Required libraries that are not installed are next to the executable. */
const START = `#!/bin/sh
here=$(dirname "$0")
export LD_LIBRARY_PATH="$(echo "$here"/usr/lib/*-linux-gnu)"
exec "$here/usr/sbin/pgbouncer" "$@"
`;
