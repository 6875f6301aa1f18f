import { randomUUID } from 'node:crypto';
import { unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { openTestPostgres, type TestDatabase } from '../test/support/database.ts';
import { postLoad } from './load.ts';
import { FOLDER } from './open-bench.ts';
import { startFacteur, startScript, type FacteurProcess, type StartOptions } from './processes.ts';
import { commandEvent } from './requests.ts';

export interface Counts {
  readonly all: number;
  readonly queued: number;
}

/** Uses its own connection and closes it, because flushes are counted when nobody is connected. */
export async function countRuns({ dsn }: Pick<TestDatabase, 'dsn'>): Promise<Counts> {
  const text = `SELECT count(*)::float8 AS all, (count(*) FILTER (WHERE state = 'queued'))::float8 AS queued FROM facteur.runs`;
  return (await ask<Counts>(dsn, text)) ?? { all: 0, queued: 0 };
}

/** Waits until no run is left to submit. */
export async function untilSubmitted(database: TestDatabase): Promise<void> {
  await untilNone(async () => (await countRuns(database)).queued);
}

/**
 * Waits until all runs are finished and their messages are updated. Reads only indexes, because a ledger may be full of finished
 * runs.
 */
async function untilTold({ dsn }: TestDatabase): Promise<void> {
  const text = `SELECT (SELECT count(*) FROM facteur.open_runs)
      + (SELECT count(*) FROM facteur.messages WHERE due_at IS NOT NULL)::float8 AS left`;
  await untilNone(async () => (await ask<{ readonly left: number }>(dsn, text))?.left ?? 0);
}

async function ask<Row>(dsn: string, text: string): Promise<Row | undefined> {
  const db = openTestPostgres(dsn, { poolSize: 1 });
  const { rows } = await db.query<Row>({ text });
  await db.close();
  return rows[0];
}

async function untilNone(count: () => Promise<number>): Promise<void> {
  const giveUpAt = performance.now() + 120_000;
  for (let left = Infinity; left > 0; left = await count()) {
    if (performance.now() > giveUpAt) {
      throw new Error(`${left} runs are left after two minutes`);
    }
    await wait(200);
  }
}

/** Runs a service during `use`, with a cluster whose workflows never end, or succeed at once. */
export async function withFacteur<T>(
  { dsn }: TestDatabase,
  env: Record<string, string>,
  use: (facteur: FacteurProcess) => Promise<T>,
  { workflows = 'hang', ...options }: StartOptions & { workflows?: 'hang' | 'succeed' } = {},
): Promise<T> {
  const kubeconfig = join(tmpdir(), `facteur-bench-${randomUUID()}.yaml`);
  const cluster = await startScript('cluster-server.ts', [kubeconfig, workflows]);
  const facteur = await startFacteur(
    { FACTEUR_POSTGRES_DSN: dsn, FACTEUR_KUBECONFIG: kubeconfig, ...env },
    FOLDER,
    [],
    options,
  );
  try {
    return await use(facteur);
  } finally {
    await Promise.all([facteur.stop(), cluster.stop()]);
    await unlink(kubeconfig);
  }
}

/** Runs a service that follows workflows, which succeed at once, and updates their messages in Discord. */
export async function withFollowUps<T>(
  database: TestDatabase,
  use: (facteur: FacteurProcess) => Promise<T>,
): Promise<T> {
  const discord = await startScript('discord-server.ts');
  const env = {
    FACTEUR_DISCORD_FOLLOW_UP_EVENTS: 'true',
    FACTEUR_DISCORD_API_BASE_URL: `http://127.0.0.1:${discord.line}/api`,
  };
  try {
    return await withFacteur(database, env, use, { workflows: 'succeed' });
  } finally {
    await discord.stop();
  }
}

/** Whether a command event gets its 202. */
export async function takesEvents(url: string): Promise<boolean> {
  const headers = { 'content-type': 'application/x-protobuf' };
  const answer = await fetch(`${url}/events`, { method: 'POST', headers, body: Buffer.from(commandEvent()) });
  await answer.arrayBuffer();
  return answer.status === 202;
}

/** Requests runs from 128 clients, each a new one after an answer, and waits until the last message is final. */
export async function liveRuns(
  { url }: FacteurProcess,
  database: TestDatabase,
  seconds: number,
): Promise<{ readonly count: number; readonly perSecond: number; readonly failures: number }> {
  const body = (index: number): Uint8Array => commandEvent(index, 'token');
  const startedAt = performance.now();
  const { count, failures } = await postLoad({ url, path: '/events', clients: 128, body, seconds });
  await untilTold(database);
  return { count, failures, perSecond: (count * 1000) / (performance.now() - startedAt) };
}
