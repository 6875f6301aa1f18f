import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildProduction } from '../../scripts/build.ts';
import { createSigner } from '../../sandbox/discord/signer.ts';
import { FacteurProcess, temporaryFolder } from '../support/facteur-process.ts';
import { limitMemory, type MemoryLimit } from '../support/memory-limit.ts';
import { startOwnPostgres, type OwnPostgres } from './own-postgres.ts';

// The production build with the memory limit of its manifests, under hostile load. It must stay alive and answer its
// probe.

const ROOT = join(import.meta.dirname, '..', '..');
const LIMIT = 256 * 2 ** 20;
/** The timeout of the liveness probe in the manifests. Earlier connections of a flood are accepted before the probe. */
const HEALTH_MS = 5000;
const TIMEOUT = { timeout: 600_000 };

/** The variables that the image sets. */
const image = { NODE_OPTIONS: imageSetting('NODE_OPTIONS'), MALLOC_ARENA_MAX: imageSetting('MALLOC_ARENA_MAX') };
const signer = createSigner();
const production = temporaryFolder();
let postgres: OwnPostgres;
let limit: MemoryLimit;
let facteur: FacteurProcess;
let health: HealthWatch;

beforeAll(async () => {
  [postgres] = await Promise.all([startOwnPostgres(), buildProduction(ROOT, production.path)]);
}, 300_000);
afterAll(async () => {
  await postgres.stop();
  production.remove();
});

beforeEach(async () => {
  limit = limitMemory(`facteur-memory-${process.pid}`, LIMIT);
  facteur = new FacteurProcess({
    executable: join(production.path, 'bin/facteur'),
    env: {
      FACTEUR_POSTGRES_DSN: postgres.dsn,
      FACTEUR_REDIS_URL: 'memory://',
      FACTEUR_DISABLE_DISPATCHER: '1',
      FACTEUR_DISCORD_PUBLIC_KEY: signer.publicKey,
      ...image,
      NODE_OPTIONS: `${image.NODE_OPTIONS} ${limit.nodeOptions}`,
    },
    ...(limit.processes === undefined ? {} : { enter: limit.processes }),
  });
  await facteur.ready();
  health = watchHealth(facteur);
});
afterEach(async () => {
  postgres.resume();
  await health.stop();
  await facteur.stop();
  await limit.remove();
});

test('survives 10,000 posts while Postgres hangs, and recovers', TIMEOUT, async ({ annotate }) => {
  await annotate(limit.kind);
  const body = JSON.stringify({ command: 'plan', options: { objective: 'x'.repeat(20_000) } });
  await postgres.pause();
  const first = await all(10_000, () => post('/events', body, JSON_TYPE));
  expectOnly(first, ['503', 'reset']);
  postgres.resume();
  await expect.poll(() => post('/events', body, JSON_TYPE)).toBe(202);
  await expectAlive();
});

test('survives 1,000 full-size bodies with invalid signatures', TIMEOUT, async () => {
  const body = 'x'.repeat(262_144);
  const timestamp = String(Math.floor(Date.now() / 1000));
  const headers = { 'x-signature-timestamp': timestamp, 'x-signature-ed25519': '0'.repeat(128) };
  const statuses = await all(1000, () => post('/discord/interactions', body, headers));
  expectOnly(statuses, ['401', '503', 'reset']);
  await expectAlive();
});

test('survives full-size bodies that expand when they are parsed', TIMEOUT, async () => {
  const bombs = [
    `[${'{},'.repeat(1_300_000)}{}]`,
    `{"options":{${Array.from({ length: 200_000 }, (_, index) => `"${index}":""`).join(',')}}}`,
    `{"command":"plan","options":{"objective":"${'\\u0001'.repeat(600_000)}"}}`,
    `{"command":${'['.repeat(2_000_000)}`,
  ];
  for (const bomb of bombs) {
    const statuses = await all(50, () => post('/events', bomb, JSON_TYPE));
    expectOnly(statuses, ['400', '413', '422', '503', 'reset']);
  }
  await expectAlive();
});

test('survives the sessions of 10,000 people with fields of maximum length', TIMEOUT, async () => {
  const long = (index: number, prefix: string) => prefix + String(index).padEnd(255, '\u4e00');
  let sent = 0;
  const sendAll = async (): Promise<void> => {
    while (sent < 10_000) {
      sent += 1;
      const event = { command: 'plan', user: { id: long(sent, 'u') } };
      const body = JSON.stringify({ ...event, correlationId: long(sent, 'c'), traceId: long(sent, 't') });
      expect(await post('/events', body, JSON_TYPE)).toBe(202);
    }
  };
  await Promise.all(Array.from({ length: 32 }, sendAll));
  await expectAlive();
});

test('2,000 clients can connect at once while the process is stopped', TIMEOUT, async () => {
  const { hostname: host, port } = new URL(facteur.url);
  process.kill(facteur.pid, 'SIGSTOP');
  const sockets = Array.from({ length: 2000 }, () => connect({ host, port: Number(port) }));
  try {
    // The kernel accepts them. A dropped one would wait until the process continues.
    expect(await Promise.all(sockets.map((socket) => once(socket, 'connect')))).toHaveLength(2000);
  } finally {
    process.kill(facteur.pid, 'SIGCONT');
    sockets.forEach((socket) => socket.destroy());
  }
});

const JSON_TYPE = { 'content-type': 'application/json' };

function imageSetting(name: string): string {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  const [, value = ''] = text.split(`${name}=`);
  return value.startsWith('"') ? (value.split('"')[1] ?? '') : (value.split(/\s/)[0] ?? '');
}

function expectOnly(statuses: Readonly<Record<string, number>>, allowed: readonly string[]): void {
  expect(Object.keys(statuses).filter((status) => !allowed.includes(status))).toEqual([]);
}

/** Sends this many at once. Returns the count of each status, with `reset` for closed connections. */
async function all(count: number, sendOne: () => Promise<number>): Promise<Record<string, number>> {
  const statuses: Record<string, number> = {};
  await Promise.all(
    Array.from({ length: count }, async () => {
      const status = await sendOne().catch(() => 'reset');
      statuses[status] = (statuses[status] ?? 0) + 1;
    }),
  );
  return statuses;
}

/** Sends a request on its own connection. */
async function post(path: string, body: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const length = String(Buffer.byteLength(body));
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const sent = httpRequest(new URL(path, facteur.url), {
    method: 'POST',
    agent: false,
    headers: { ...headers, 'content-length': length, connection: 'close' },
  });
  sent.on('response', (response) => response.resume().on('end', () => resolve(response.statusCode ?? 0)));
  sent.on('error', reject);
  sent.end(body);
  return promise;
}

async function expectAlive(): Promise<void> {
  expect(await fetch(`${facteur.url}/healthz`)).toMatchObject({ status: 200 });
  expect(facteur.isRunning).toBe(true);
  expect(health.slowestMs()).toBeLessThan(HEALTH_MS);
  expect(limit.isExceededBy(facteur.pid)).toBe(false);
}

interface HealthWatch {
  /**
   * The longest time for an answer so far, in milliseconds, minus the time in which either side waited for a CPU; infinite
   * if a probe failed.
   */
  slowestMs(): number;
  stop(): Promise<void>;
}

/** Probes every 50 ms, from a thread of its own: this one is busy sending. */
function watchHealth({ url, pid }: FacteurProcess): HealthWatch {
  const shared = new SharedArrayBuffer(8);
  const worker = new Worker(
    `const { readFileSync } = require('node:fs');
     const { workerData } = require('node:worker_threads');
     const waited = (task) => Number(readFileSync(\`/proc/\${task}/schedstat\`, 'utf8').split(' ')[1]) / 1e6;
     const starved = () => waited(workerData.pid) + waited('thread-self');
     const slowest = new Float64Array(workerData.shared);
     (async () => {
       for (;;) {
         const [begun, before] = [performance.now(), starved()];
         const ok = await fetch(workerData.url).then((answer) => answer.text().then(() => answer.ok), () => false);
         slowest[0] = Math.max(slowest[0], ok ? performance.now() - begun - (starved() - before) : Infinity);
         await new Promise((resolve) => setTimeout(resolve, 50));
       }
     })();`,
    { eval: true, workerData: { url: `${url}/healthz`, pid, shared } },
  );
  return {
    slowestMs: () => new Float64Array(shared)[0] ?? Number.POSITIVE_INFINITY,
    stop: async () => void (await worker.terminate()),
  };
}
