import { Redis } from 'ioredis';
import { freePort, serverDirectory, startDaemon } from './daemon.ts';
import { aptGet, canInstall, onPath } from './executables.ts';
import type { ContainableService, ContainerPlan, ServiceContext, StartedService } from './service.ts';

/** Redis (or Valkey) without persistence. */
export const redis: ContainableService = {
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
    began: context.began,
    ready: () => ping(value),
  });
  return { value, daemons: [daemon] };
}

async function ping(url: string): Promise<void> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: null, connectTimeout: 2_000 });
  // Without a listener, a refused connection is also logged to the console.
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
  if (!canInstall()) {
    throw new Error(
      'no redis-server on PATH: install Redis (apt-get install redis-server), or set FACTEUR_TEST_REDIS_URL',
    );
  }
  say('installing Redis (once)');
  aptGet('update');
  // Debian's redis-server package would start a server of its own.
  aptGet('install', '-y', '--no-install-recommends', 'redis-tools');
  const executable = server();
  if (executable === undefined) {
    throw new Error('apt-get installed redis-tools, but there is no server in it; install redis-server');
  }
  return executable;
}

/** The server and its checker are one executable that acts by the name it is called with; redis-tools contains it. */
function server(): string | undefined {
  return onPath('redis-server') ?? onPath('valkey-server') ?? onPath('redis-check-rdb');
}
