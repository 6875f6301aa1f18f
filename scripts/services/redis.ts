import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort, serverDirectory, startDaemon } from './daemon.ts';
import type { ContainerPlan, Service, ServiceContext, StartedService } from './service.ts';

/** Redis (or Valkey) without persistence. */
export const redis: Service = {
  name: 'redis',
  variable: 'FACTEUR_TEST_REDIS_URL',
  start: startRedis,
  plan: planRedis,
};

async function planRedis(): Promise<ContainerPlan> {
  const port = await freePort();
  return {
    location: { value: address(port) },
    environment: { FACTEUR_SERVICES_REDIS_PORT: `${port}` },
    ports: [port],
  };
}

function address(port: number): string {
  return `redis://127.0.0.1:${port}`;
}

async function startRedis(context: ServiceContext): Promise<StartedService> {
  const command = find(context);
  const directory = serverDirectory('redis', undefined);
  const port = await freePort();
  const value = address(port);
  const daemon = await startDaemon({
    command,
    argv0: 'redis-server',
    args: ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory],
    directory,
    identity: undefined,
    stopSignal: 'SIGTERM',
    ready: () => ping(value),
  });
  return { value, daemon };
}

async function ping(url: string): Promise<void> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: null, connectTimeout: 2_000 });
  // Without a listener a refused connection is written to the console as well as rejected.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.ping();
  } finally {
    client.disconnect();
  }
}

function find({ say }: ServiceContext): string {
  const found = server();
  if (found !== undefined) {
    return found;
  }
  if (process.getuid?.() !== 0 || onPath('apt-get') === undefined) {
    throw new Error(
      'no redis-server on PATH: install Redis (apt-get install redis-server), or set FACTEUR_TEST_REDIS_URL',
    );
  }
  say('installing Redis (once)');
  const apt = (...args: string[]): Buffer =>
    execFileSync('apt-get', ['-qq', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  apt('update');
  // Debian's redis-server package would start a server of its own.
  apt('install', '-y', '--no-install-recommends', 'redis-tools');
  const executable = server();
  if (executable === undefined) {
    throw new Error('apt-get installed redis-tools, but there is no server in it; install redis-server');
  }
  return executable;
}

/** The server and its checker are one executable, which goes by the name that it is called by; redis-tools has it. */
function server(): string | undefined {
  return onPath('redis-server') ?? onPath('valkey-server') ?? onPath('redis-check-rdb');
}

function onPath(name: string): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  return directories.map((directory) => join(directory, name)).find((path) => isExecutable(path));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
