/**
 * How soon users in Discord get their first answer: signed interactions at a constant rate, first with a cluster that works and
 * then with one that hangs. Discord gives up after 3 seconds. Needs a real PostgreSQL:
 *
 *   node scripts/services.ts run -- node bench/discord.ts
 *
 * BENCH_RATE (1000) is the rate per second, BENCH_SECONDS (30) the duration, BENCH_FOLDER a production build to measure instead
 * of the sources. BENCH_ONLY (`http`) gives the process only these roles. Everything runs on this machine, including the load: a
 * machine that is too slow for both shows in the times.
 */
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'undici';
import { closedLoop, openLoop, type LoadResult } from './load.ts';
import { FOLDER, openBench } from './open-bench.ts';
import { cpuMsOf, memoryOf, startFacteur, startScript } from './processes.ts';
import type { Table } from './results.ts';

const RATE = Number(process.env['BENCH_RATE'] ?? 1000);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 30);
const ONLY = process.env['BENCH_ONLY'];
const CONNECTIONS = 256;
/** Requests are signed in advance, so that signing is not measured. A signature is valid for five minutes. */
const AHEAD = RATE * SECONDS;

const bench = await openBench('discord', `${RATE.toLocaleString('en')} a second for ${SECONDS} s`);
const { database } = bench;
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const kubeconfig = join(tmpdir(), `facteur-bench-${randomUUID()}.yaml`);
const cluster = await startScript('cluster-server.ts', [kubeconfig]);
const discord = await startScript('discord-server.ts');
const facteur = await startFacteur(
  {
    FACTEUR_POSTGRES_DSN: database.dsn,
    FACTEUR_KUBECONFIG: kubeconfig,
    FACTEUR_DISCORD_PUBLIC_KEY: Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex'),
    FACTEUR_DISCORD_API_BASE_URL: `http://127.0.0.1:${discord.line}/api`,
  },
  FOLDER,
  ONLY === undefined ? [] : ['--only', ONLY],
);
/**
 * Connections stay open, as with a proxy: Node accepts one new connection per turn of its event loop, few per second when busy.
 */
const pool = new Pool(facteur.url, { connections: CONNECTIONS, pipelining: 1, keepAliveTimeout: 60_000 });

interface Signed {
  readonly body: string;
  readonly timestamp: string;
  readonly signature: string;
}

let next = BigInt(Date.now()) << 22n;

/** Somebody types `/plan`: about 1 kB, as Discord sends it. */
function interaction(): Signed {
  next += 1n;
  const id = String(next);
  const user = { id: '200000000000000001', username: 'ada', global_name: 'Ada', discriminator: '0', avatar: null };
  const body = JSON.stringify({
    id,
    application_id: '100000000000000001',
    type: 2,
    token: Buffer.from(`interaction:${id}:${'x'.repeat(100)}`).toString('base64url'),
    version: 1,
    data: {
      id: '1',
      name: 'plan',
      type: 1,
      options: [{ name: 'objective', type: 3, value: 'Keep the change small and add a test. '.repeat(8) }],
    },
    guild_id: '300000000000000001',
    channel_id: '400000000000000001',
    channel: { id: '400000000000000001', type: 0, name: 'general' },
    member: { user, roles: ['500000000000000001'], permissions: '2147483647', joined_at: '2024-01-01T00:00:00Z' },
    locale: 'en-GB',
    context: 0,
  });
  const timestamp = String(Math.floor(Date.now() / 1000));
  return { body, timestamp, signature: sign(null, Buffer.from(timestamp + body), privateKey).toString('hex') };
}

/** Whether it was acknowledged: only a deferred answer counts. */
async function send({ body, timestamp, signature }: Signed): Promise<boolean> {
  const response = await pool.request({
    method: 'POST',
    path: '/discord/interactions',
    headers: {
      'content-type': 'application/json',
      'x-signature-timestamp': timestamp,
      'x-signature-ed25519': signature,
    },
    body,
  });
  return (await response.body.text()) === '{"type":5}';
}

async function measure(what: string, seconds: number): Promise<Table['rows'][number]> {
  const signed = Array.from({ length: Math.min(AHEAD, RATE * seconds) }, interaction);
  const before = cpuMsOf(facteur.child.pid ?? 0);
  const result = await openLoop(RATE, seconds, (index) => send(signed[index] ?? interaction()));
  const cpuMs = (cpuMsOf(facteur.child.pid ?? 0) - before) / (RATE * seconds);
  return row(what, result, cpuMs);
}

function row(
  what: string,
  { perSecond, p50Ms, p99Ms, maxMs, failures }: LoadResult,
  cpuMs: number,
): Table['rows'][number] {
  const times = [p50Ms, p99Ms, maxMs].map((ms) => Number(ms.toFixed(1)));
  const inTime = maxMs < 3000 ? 'yes' : 'NO';
  return [what, Math.round(perSecond), ...times, failures, inTime, Number(cpuMs.toFixed(2))];
}

/** Warm-up, not counted: JIT, connections and the shared buffers. */
await openLoop(Math.min(RATE, 200), 3, () => send(interaction()));
await closedLoop(CONNECTIONS, 3, () => send(interaction()));
const works = await measure('works', SECONDS);
const server = /server: (\S+)/.exec(await readFile(kubeconfig, 'utf8'))?.[1] ?? '';
await fetch(`${server}/__sim/control`, {
  method: 'POST',
  body: JSON.stringify({ op: 'add', rule: { action: { kind: 'hang' } } }),
});
const hangs = await measure('hangs', SECONDS);
const memory = await memoryOf(facteur.child);
bench.report({
  answers: {
    columns: [
      'cluster',
      'answers/s',
      'p50 ms',
      'p99 ms',
      'max ms',
      'not acknowledged',
      'all within 3 s',
      'processor ms each',
    ],
    rows: [works, hangs],
  },
  memory: { columns: ['MiB afterwards', 'MiB at most'], rows: [[memory.nowMiB, memory.peakMiB]] },
});

await pool.close();
await facteur.stop();
await Promise.all([cluster.stop(), discord.stop()]);
await database.close();
