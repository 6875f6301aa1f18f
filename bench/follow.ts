/**
 * How far the ledger lags behind the cluster with many live workflows and constant disturbances of the watch:
 *
 *   node scripts/services.ts run -- node bench/follow.ts [WORKFLOWS] [SECONDS]
 *
 * 10,000 workflows and 90 seconds by default, with one hiccup every 5 seconds. The lag is the time from the change in the cluster
 * (its own process) to the answer of the statement that wrote it. Memory is that of the following process.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { createLogger } from '../src/base/logger.ts';
import { createArgoClient } from '../src/clients/argo/client.ts';
import type { ArgoClient } from '../src/clients/argo/workflows.ts';
import type { Database } from '../src/clients/postgres/database.ts';
import { deliveryLabel } from '../src/domain/workflow-name.ts';
import { Follower } from '../src/follow/follower.ts';
import type { Command } from '../sandbox/cluster/control.ts';
import { openBench } from './open-bench.ts';
import type { Table } from './results.ts';
import type { FromCluster, ToCluster } from './follow-cluster.ts';

const NAMESPACE = 'argo';
const total = Number(process.argv[2] ?? 10_000);
const seconds = Number(process.argv[3] ?? 90);
const HICCUP_MS = 5000;
/** How the cluster disturbs the watch, in turn; none of it should require a new list. */
const HICCUPS: readonly Command[] = [
  { op: 'drop-watches', how: 'reset' },
  { op: 'truncate-watches' },
  { op: 'drop-watches', how: 'end' },
  { op: 'disturb-watches', duplicate: true, reorder: true },
  { op: 'disturb-watches', duplicate: false, reorder: false },
  { op: 'silence-watches', ms: 1000 },
];

/** Times of each change by key: when the cluster changed, when the watch reported it, and when the ledger had it. */
const changedAt = new Map<string, number>();
const arrivedAt = new Map<string, number>();
const writtenAt = new Map<string, number>();

const PHASES: Readonly<Record<string, string>> = {
  submitted: 'Pending',
  running: 'Running',
  succeeded: 'Succeeded',
  failed: 'Failed',
};

/** The database, which also records when the follower's changes are written. */
function observed(db: Database): Database {
  return {
    query: async (statement) => {
      const from = performance.now();
      const answer = await db.query(statement);
      if (statement.name === 'observe-workflows') {
        inStatements += performance.now() - from;
        noteWritten(String(statement.values?.[0]));
      }
      return answer as never;
    },
    transaction: (work) => db.transaction(work),
    session: (work) => db.session(work),
    ping: () => db.ping(),
    listen: (channel, handler) => db.listen(channel, handler),
    close: () => db.close(),
  };
}

/** The client, which also records when changes arrive by the watch. */
function listening(client: ArgoClient): ArgoClient {
  return {
    ...client,
    async *watchWorkflows(namespace, options) {
      for await (const event of client.watchWorkflows(namespace, options)) {
        if (event.type !== 'BOOKMARK') {
          const { metadata, status } = event.object;
          const key = `${metadata?.name} ${status?.phase} ${status?.progress}`;
          if (!arrivedAt.has(key)) {
            arrivedAt.set(key, Date.now());
          }
        }
        yield event;
      }
    },
  };
}

let statements = 0;
let inStatements = 0;
function noteWritten(batch: string): void {
  const now = Date.now();
  statements += 1;
  for (const { name, state, progress } of JSON.parse(batch) as Record<'name' | 'state' | 'progress', string>[]) {
    const key = `${name} ${PHASES[state] ?? state} ${progress}`;
    if (!writtenAt.has(key)) {
      writtenAt.set(key, now);
    }
  }
}

const FILL = `
WITH made AS (
  SELECT gen_random_uuid() AS id, gen_random_uuid() AS idea_id, gen_random_uuid() AS task_id, *
  FROM json_to_recordset($1::json) AS made(name text, delivery_id text, uid text)
), ideas AS (
  INSERT INTO codex_kb.ideas (id, source_type, source_ref, status, payload)
  SELECT idea_id, 'bench', delivery_id, 'received', '{}' FROM made
), tasks AS (
  INSERT INTO codex_kb.tasks (id, idea_id, stage, state) SELECT task_id, idea_id, 'plan', 'submitted' FROM made
), task_runs AS (
  INSERT INTO codex_kb.task_runs (id, task_id, external_run_id, status, queued_at, delivery_id)
  SELECT id, task_id, name, 'submitted', now(), delivery_id FROM made
), messages AS (
  INSERT INTO facteur.messages (run_id, interaction_id, channel_id) SELECT id, '', '' FROM made
), open AS (
  INSERT INTO facteur.open_runs (run_id, line, in_cluster) SELECT id, 'create', true FROM made
)
INSERT INTO facteur.runs (run_id, delivery_id, delivery_key, kind, command, door, state, previous_state, namespace, workflow_name,
  workflow_uid, correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at, submitted_at)
SELECT id, delivery_id, 'command:' || delivery_id, 'command', 'plan', 'http', 'submitted', 'queued', '${NAMESPACE}', name, uid, '', '', '', '', '',
  now(), now() FROM made`;

/** Creates the requested number of live runs and workflows. */
async function fill(db: Database, cluster: ChildProcess): Promise<void> {
  const runs = Array.from({ length: total }, (_, index) => ({ name: `bench-${index}`, delivery_id: randomUUID() }));
  const workflows = runs.map(({ name, delivery_id }) => ({ name, delivery: deliveryLabel(delivery_id) }));
  const { uids } = await ask(cluster, { kind: 'fill', workflows }, 'filled');
  const rows = runs.map((run) => ({ ...run, uid: uids[run.name] }));
  await db.session((session) => session.query({ text: FILL, values: [JSON.stringify(rows)] }));
  await db.session((session) => session.query({ text: 'VACUUM ANALYZE' }));
}

async function ask<Kind extends FromCluster['kind']>(
  cluster: ChildProcess,
  message: ToCluster,
  kind: Kind,
): Promise<Extract<FromCluster, { kind: Kind }>> {
  const answered = Promise.withResolvers<Extract<FromCluster, { kind: Kind }>>();
  const onMessage = (answer: FromCluster): void => {
    if (answer.kind === kind) {
      cluster.off('message', onMessage);
      answered.resolve(answer as Extract<FromCluster, { kind: Kind }>);
    }
  };
  cluster.on('message', onMessage);
  cluster.send(message);
  return answered.promise;
}

/** Disturbs the watch until the time is over. */
async function trouble(cluster: ChildProcess): Promise<void> {
  for (let round = 0; round * HICCUP_MS < seconds * 1000; round += 1) {
    await setTimeout(HICCUP_MS);
    const command = HICCUPS[round % HICCUPS.length];
    if (command !== undefined) {
      cluster.send({ kind: 'fault', command } satisfies ToCluster);
    }
  }
}

const pageCount = async (cluster: ChildProcess): Promise<number> =>
  (await ask(cluster, { kind: 'counts' }, 'counts')).requests['list'] ?? 0;

type Moments = ReadonlyMap<string, number>;

/** The times between two moments, for changes at `since` or later that have both. */
function lags(from: Moments, to: Moments, since = 0): number[] {
  return [...from].flatMap(([key, at]) => {
    const noted = to.get(key);
    return noted === undefined || (changedAt.get(key) ?? 0) < since ? [] : [noted - at];
  });
}

function percentiles(values: readonly number[]): number[] {
  const sorted = values.toSorted((a, b) => a - b);
  return [0.5, 0.99, 1].map((share) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0),
  );
}

/** The lags of the changes so far. */
function lagTable(): Table {
  return {
    columns: ['from', 'to', 'p50 ms', 'p99 ms', 'max ms'],
    rows: [
      ['change in the cluster', 'row in the ledger', ...percentiles(lags(changedAt, writtenAt))],
      ['change in the cluster', 'watch event', ...percentiles(lags(changedAt, arrivedAt))],
      ['watch event', 'row in the ledger', ...percentiles(lags(arrivedAt, writtenAt))],
    ],
  };
}

// Five steps and the start-up take three quarters of the time on average, so most workflows end within it.
const cluster = fork(join(import.meta.dirname, 'follow-cluster.ts'), [String((seconds * 1000) / 8)]);
const [up] = (await once(cluster, 'message')) as [Extract<FromCluster, { kind: 'up' }>];
cluster.on('message', (message: FromCluster) => {
  if (message.kind === 'changes') {
    for (const [key, at] of message.changes) {
      changedAt.set(key, at);
    }
  }
});
const bench = await openBench('follow', `${total.toLocaleString('en')} workflows, ${seconds} s`);
const { database } = bench;
await fill(database.db, cluster);
const connection = { server: up.url, headers: {}, tls: {} };
const workflows = createArgoClient({ source: 'bench', namespace: NAMESPACE, connection: async () => connection });
const listed = Promise.withResolvers<void>();
const logger = createLogger('info', {
  write: (line) => {
    if (line.includes('workflows listed')) {
      listed.resolve();
    }
    if (!line.includes('"run moved"')) {
      process.stderr.write(line);
    }
  },
});
const follower = new Follower({
  labelOf: (command) => command,
  db: observed(database.db),
  workflows: listening(workflows),
  logger,
  random: Math.random,
  namespaces: [NAMESPACE],
  holder: randomUUID(),
});
const startedAt = performance.now();
follower.start();
await listed.promise;
const pages = await pageCount(cluster);
console.log(`${total} workflows listed and applied in ${Math.round(performance.now() - startedAt)} ms, ${pages} pages`);
// A change before the list is not a delay of the watch.
changedAt.clear();
writtenAt.clear();

const cpu = process.cpuUsage();
await trouble(cluster);
const used = process.cpuUsage(cpu);
const afterHiccups = await pageCount(cluster);
await setTimeout(1000);
const lag = lagTable();
const missing = [...changedAt.keys()].filter((key) => !key.endsWith('Pending 0/5') && !writtenAt.has(key)).length;
const [changes, written] = [changedAt.size, { statements, inStatements }];
const { rss, heapUsed } = process.memoryUsage();
const expiredAt = Date.now();
cluster.send({ kind: 'fault', command: { op: 'expire-watches', form: 'event', times: 1 } } satisfies ToCluster);
cluster.send({ kind: 'fault', command: { op: 'drop-watches', how: 'end' } } satisfies ToCluster);
await setTimeout(HICCUP_MS);
const meanwhile = percentiles(lags(changedAt, writtenAt, expiredAt));
bench.report({
  lag: { ...lag, rows: [...lag.rows, ['change after a 410', 'row in the ledger', ...meanwhile]] },
  cost: {
    columns: [
      'changes a second',
      'not written',
      'changes a statement',
      'ms a statement',
      'disturbances',
      'pages listed after them',
      'after a 410',
      'cores',
      'MiB',
      'of it heap',
    ],
    rows: [
      [
        Math.round(changes / seconds),
        missing,
        Math.round(changes / written.statements),
        Number((written.inStatements / written.statements).toFixed(1)),
        Math.ceil((seconds * 1000) / HICCUP_MS),
        afterHiccups - pages,
        (await pageCount(cluster)) - afterHiccups,
        Number(((used.user + used.system) / 1e6 / seconds).toFixed(2)),
        Math.round(rss / 2 ** 20),
        Math.round(heapUsed / 2 ** 20),
      ],
    ],
  },
});
await follower.stop();
await workflows.close();
await database.close();
cluster.disconnect();
