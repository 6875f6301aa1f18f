import { setTimeout as pause } from 'node:timers/promises';
import { vi } from 'vitest';
import type { Database, Result, Statement } from '../../src/clients/postgres/database.ts';
import { deliveryLabel } from '../../src/domain/workflow-name.ts';
import { LABELS } from '../../src/domain/workflow-plan.ts';
import { startSimulatedCluster, type SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import { TEMPLATE } from '../support/cluster.ts';
import { openTestPostgres } from '../support/database.ts';
import { codexTask, event, send, type Message } from '../support/messages.ts';
import type { AnswerRecord, ChaosHistory, RunRecord, WatchRecord } from './checker.ts';
import { startOwnPostgres, type OwnPostgres } from './own-postgres.ts';
import { Replica, type Wire } from './replica.ts';
import type { Hit, Tripwire } from './wire-proxy.ts';

/** How many times each delivery is sent. */
const SENDS = 3;
/** Delay before a sender without an answer retries, in milliseconds: on the other replica, like behind a Service. */
const RETRY_MS = 100;
/**
 * Statuses after which a sender retries, like Knative's KafkaSource; anything else is the answer. A process that was paused
 * in the middle of a request blames the sender for the delay and answers 408.
 */
const RETRIED: ReadonlySet<number> = new Set([408, 503]);
/** The claim of a dead process expires after 15 s, and the run is found at once. The rest is for a busy machine. */
const REST_MS = 90_000;

/** Two real facteur processes on one real PostgreSQL and one simulated cluster, with a record of all that happens. */
export class ChaosWorld {
  readonly cluster: SimulatedCluster;
  readonly postgres: OwnPostgres;
  readonly replicas: readonly Replica[];
  readonly #db: Database;
  readonly #answers: AnswerRecord[] = [];
  readonly #deliveries: string[] = [];
  readonly #watches: WatchRecord[] = [];
  readonly #sampler: NodeJS.Timeout;
  #sending: Promise<void>[] = [];
  #over = false;

  private constructor(cluster: SimulatedCluster, postgres: OwnPostgres, replicas: readonly Replica[]) {
    this.cluster = cluster;
    this.postgres = postgres;
    this.replicas = replicas;
    this.#db = openTestPostgres(postgres.dsn, { poolSize: 2 });
    this.#sampler = setInterval(() => this.#sampleWatches(), 50);
  }

  /** @param executable of another build, to verify that the checker finds its faults */
  static async start(executable?: string): Promise<ChaosWorld> {
    const cluster = await startSimulatedCluster({
      templates: [TEMPLATE],
      defaults: { pendingMs: 20, startMs: 20, stepMs: 50, steps: 2 },
    });
    const postgres = await startOwnPostgres();
    const options = { dsn: postgres.dsn, cluster, ...(executable === undefined ? {} : { executable }) };
    const replicas = await Promise.all([Replica.start(options), Replica.start(options)]);
    const world = new ChaosWorld(cluster, postgres, replicas);
    try {
      await Promise.all(replicas.map((replica) => replica.ready()));
    } catch (error) {
      await world.stop();
      throw error;
    }
    return world;
  }

  /** Sends this many new deliveries, each three times and to both replicas, and retries each until it is answered. */
  send(count: number): void {
    for (let index = 0; index < count; index += 1) {
      const deliveryId = `delivery-${this.#deliveries.length}`;
      this.#deliveries.push(deliveryId);
      const message = messageFor(deliveryId, this.#deliveries.length);
      for (let sending = 0; sending < SENDS; sending += 1) {
        this.#sending.push(this.#deliver(deliveryId, message, sending));
      }
    }
  }

  /** Sends, and waits until the first replica reaches this moment. */
  async until(wire: Wire, tripwire: Tripwire, timeoutMs = 90_000): Promise<{ replica: Replica; hit: Hit }> {
    const hits = this.replicas.map(async (replica) => ({ replica, hit: await replica.arm(wire, tripwire) }));
    this.send(3);
    const patience = new AbortController();
    try {
      return await Promise.race([
        ...hits,
        this.#giveUp(`${tripwire.phase} ${tripwire.text}`, timeoutMs, patience.signal),
      ]);
    } finally {
      patience.abort();
      this.replicas.forEach((replica) => replica.disarm());
    }
  }

  /** Waits until all runs recorded so far have ended, whichever process had claimed them. */
  async overtaken(): Promise<void> {
    await vi.waitFor(() => this.#assertAtRest(), { timeout: REST_MS, interval: 250 });
  }

  /** Waits until every request so far is answered, at most this long. */
  async answeredWithin(ms: number): Promise<void> {
    await Promise.race([this.allAnswered(), pause(ms)]);
  }

  /** Waits until every request so far is answered. */
  async allAnswered(): Promise<void> {
    await Promise.all(this.#sending);
  }

  /** Waits until the cluster has been watched for this long. */
  async watchedFor(ms: number): Promise<void> {
    await vi.waitUntil(() => this.#watches.some(({ open, atMs }) => open > 0 && performance.now() - atMs > ms), {
      timeout: ms + 60_000,
      interval: 50,
    });
  }

  /** Sends, and waits for the next answer. */
  async answered(): Promise<void> {
    const before = this.#answers.length;
    this.send(3);
    await vi.waitUntil(() => this.#answers.length > before, { interval: 1 });
  }

  /** Waits until every request is answered and every run has ended, or until it is clear that they will not. */
  async rest(): Promise<void> {
    await this.allAnswered();
    await vi
      .waitFor(async () => this.#assertAtRest(), { timeout: REST_MS, interval: 250 })
      // The checker reports what has not ended.
      .catch(() => undefined);
  }

  /** The complete history. */
  async history(): Promise<ChaosHistory> {
    const labels = new Map(this.#deliveries.map((deliveryId) => [deliveryLabel(deliveryId), deliveryId]));
    this.#watches.push({ atMs: performance.now(), open: this.#openWatches() });
    return {
      deliveries: this.#deliveries,
      answers: this.#answers,
      runs: await this.#runs(),
      cluster: this.cluster.history.entries
        .filter(({ resource }) => resource === 'workflows')
        .map(({ kind, name, uid, phase, labels: own }) => ({
          kind,
          name,
          uid,
          phase,
          deliveryId: labels.get(own[LABELS.delivery] ?? ''),
        })),
      watches: this.#watches,
    };
  }

  async stop(): Promise<void> {
    this.#over = true;
    clearInterval(this.#sampler);
    await Promise.all(this.replicas.map((replica) => replica.stop()));
    await this.cluster.close();
    await this.#db.close();
    await this.postgres.stop();
  }

  /** Terminates every connection of the replicas in the server. */
  async endBackends(): Promise<void> {
    await this.#ask({
      text: `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
    });
  }

  /** Queries PostgreSQL, which may have been killed a moment ago. */
  #ask<Row>(statement: Statement): Promise<Result<Row>> {
    return vi.waitFor(() => this.#db.query<Row>(statement), { interval: 250 });
  }

  async #deliver(deliveryId: string, message: Message, first: number): Promise<void> {
    for (let attempt = first; !this.#over; attempt += 1) {
      const replica = this.replicas[attempt % this.replicas.length];
      const answer = await send(replica?.url ?? '', message).catch(() => undefined);
      if (answer !== undefined && !RETRIED.has(answer.status)) {
        this.#answers.push({ deliveryId, status: answer.status, body: answer.body });
        return;
      }
      await pause(RETRY_MS);
    }
  }

  async #giveUp(moment: string, timeoutMs: number, signal: AbortSignal): Promise<never> {
    await pause(timeoutMs, undefined, { signal });
    const logs = this.replicas.map(({ log, crashes }) => [...crashes, ...log.slice(-40)].join('\n')).join('\n--\n');
    throw new Error(`no replica came to "${moment}" in ${timeoutMs} ms:\n${logs}`);
  }

  async #assertAtRest(): Promise<void> {
    const { rows } = await this.#db.query<{ live: number; open: number }>({
      text: `SELECT count(*) FILTER (WHERE state IN ('queued', 'submitted', 'running'))::int AS live, count(line)::int AS open
        FROM facteur.runs LEFT JOIN facteur.open_runs USING (run_id)`,
    });
    if (rows[0]?.live !== 0 || rows[0].open !== 0) {
      throw new Error(`${rows[0]?.live} runs are live, and ${rows[0]?.open} have a place in the queue`);
    }
  }

  async #runs(): Promise<RunRecord[]> {
    const { rows } = await this.#ask<RunRecord>({
      text: `SELECT r.run_id AS "runId", r.delivery_id AS "deliveryId", r.state, t.status AS "sharedState",
          r.workflow_name AS "workflowName", coalesce(r.workflow_uid, '') AS "workflowUid",
          EXISTS (SELECT FROM facteur.open_runs o WHERE o.run_id = r.run_id) AS "isOpen",
          (SELECT jsonb_agg(jsonb_build_object('from', e.payload->>'from', 'to', e.payload->>'to') ORDER BY e.id)
            FROM codex_kb.run_events e WHERE e.task_run_id = r.run_id AND e.event_type = 'state.change') AS changes
        FROM facteur.runs r JOIN codex_kb.task_runs t ON t.id = r.run_id`,
    });
    return rows;
  }

  #openWatches(): number {
    return Number(this.cluster.state()['watchers']);
  }

  #sampleWatches(): void {
    const open = this.#openWatches();
    if (open !== this.#watches.at(-1)?.open) {
      this.#watches.push({ atMs: performance.now(), open });
    }
  }
}

/** Commands that succeed and fail, and Codex tasks. */
function messageFor(deliveryId: string, number: number): Message {
  if (number % 3 === 0) {
    return codexTask({ deliveryId });
  }
  return event({ interactionId: deliveryId, options: { simulate: number % 5 === 0 ? 'fail@1/2' : 'succeed/2' } });
}
