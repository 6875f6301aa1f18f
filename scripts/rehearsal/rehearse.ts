import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fromJson, toBinary, type DescMessage, type JsonObject } from '@bufbuild/protobuf';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { startSimulatedDiscord, type SimulatedDiscord } from '../../sandbox/discord/discord.ts';
import { CommandEventSchema } from '../../src/proto/proompteng/facteur/v1/contract_pb.ts';
import { CodexTaskSchema } from '../../src/proto/proompteng/froussard/v1/codex_task_pb.ts';
import { freePort } from '../services/daemon.ts';
import { GoService } from './go-service.ts';
import { startRelay } from './relay.ts';
import { accepts, ServiceProcess, statusOf } from './service-process.ts';
import { Topic } from './topic.ts';
import { administer, withDatabase } from '../services/own-database.ts';

/** The servers for the rehearsal. */
export interface RehearsalWorld {
  readonly dsn: string;
  readonly redisUrl: string;
  readonly broker: string;
  /** A cluster with the templates and service accounts of the Go service; without it, runs are `skipped`. */
  readonly kubeconfig?: string;
  /** The Go service's executable; without it, the database is filled with the data that it would leave. */
  readonly goService?: string;
  /** Called after each step. */
  readonly say: (line: string) => void;
}

interface Answer {
  readonly status: number;
  readonly body: { readonly runId: string; readonly workflowName: string; readonly duplicate: boolean };
}

type Row = Readonly<Record<string, unknown>>;

const SCHEMAS: Readonly<Record<'/events' | '/codex/tasks', DescMessage>> = {
  '/events': CommandEventSchema,
  '/codex/tasks': CodexTaskSchema,
};

const EXECUTABLE = join(import.meta.dirname, '../../bin/facteur');
const CONFIG = join(import.meta.dirname, 'go-config.yaml');
/** The lock that every version of facteur holds while it migrates. */
const MIGRATION_LOCK = 0x66_61_63_74_65_75;
/** A role that may run /plan according to the Go service's configuration. */
const ROLE = '987654321098765432';
const ADA = '200000000000000001';

/** Walks from the Go service to facteur and back, in the order of docs/upgrade.md. Throws at the first step that fails. */
export async function rehearse(world: RehearsalWorld): Promise<void> {
  const rehearsal = await Rehearsal.open(world);
  try {
    await rehearsal.run();
  } finally {
    await rehearsal.close();
  }
}

class Rehearsal {
  readonly #world: RehearsalWorld;
  readonly #database: string;
  readonly #db: Client;
  readonly #topic: Topic;
  readonly #discord: SimulatedDiscord;
  readonly #port: number;

  private constructor(parts: {
    world: RehearsalWorld;
    database: string;
    db: Client;
    topic: Topic;
    discord: SimulatedDiscord;
    port: number;
  }) {
    this.#world = parts.world;
    this.#database = parts.database;
    this.#db = parts.db;
    this.#topic = parts.topic;
    this.#discord = parts.discord;
    this.#port = parts.port;
  }

  static async open(world: RehearsalWorld): Promise<Rehearsal> {
    const database = `rehearsal_${randomBytes(6).toString('hex')}`;
    await administer(world.dsn, `CREATE DATABASE ${database}`);
    const db = new Client({ connectionString: withDatabase(world.dsn, database) });
    await db.connect();
    const topic = await Topic.create(world.broker);
    const person = { id: ADA, username: 'ada', globalName: 'Ada', roles: [ROLE] };
    return new Rehearsal({
      world,
      database,
      db,
      topic,
      discord: await startSimulatedDiscord({ person }),
      port: await freePort(),
    });
  }

  async run(): Promise<void> {
    const go = new GoService(this.#world.goService, this.#environment());
    await go.migrate(this.#db);
    await go.serve(this.#url, () => this.#send('/codex/tasks', codexTask('before')).then(mustBe(202)));
    await this.#topic.produce([1, 2, 3, 4].map((number) => event(`${this.#database}-${number}`)));
    await this.#topic.commit(2n);
    const before = await this.#goTables();
    this.#done(`the Go service ran${go.isReal ? '' : ' (its rows and offsets stand in for it)'}`);

    await this.#swap(go, before);
    await this.#migrateAhead();
    await this.#goBack(go);
  }

  async #swap(go: GoService, before: Row): Promise<void> {
    const facteur = await this.#startBehindLock();
    try {
      await this.#checkSwapped(go, before);
      await this.#consume();
      await this.#followUp();
      await this.#moveEndpoint();
    } finally {
      await facteur.stop();
    }
  }

  /** Starts facteur while another process holds the migration lock. */
  async #startBehindLock(): Promise<ServiceProcess> {
    await this.#db.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const facteur = this.#facteur('serve');
    await facteur.until('the port opens', () => accepts(this.#port));
    expectEqual(await statusOf(`${this.#url}/readyz`), 503, '/readyz while migrations run');
    const early = await this.#send('/events', event(`${this.#database}-early`));
    expectEqual(early.status, 503, '/events while migrations run');
    await this.#db.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]);
    await facteur.until('it becomes ready', async () => (await statusOf(`${this.#url}/readyz`)) === 200);
    this.#done('image only: the port is open before facteur is ready; senders get 503 with Retry-After and retry');
    return facteur;
  }

  async #checkSwapped(go: GoService, before: Row): Promise<void> {
    if (go.isReal) {
      const again = await this.#send('/codex/tasks', codexTask('before'));
      expectEqual(again.status, 202, 'a redelivery of what the Go service recorded');
      await this.#hasOneRow('before');
    } else {
      const known = await this.#send('/codex/tasks', codexTask('go-delivery-7b'));
      expectEqual([known.status, known.body.duplicate], [202, true], 'a redelivery of what the Go service created');
    }
    const fresh = await this.#send('/events', event(`${this.#database}-fresh`));
    expectEqual(fresh.status, 202, 'a new event');
    await this.#reaches(
      fresh.body.runId,
      this.#world.kubeconfig === undefined ? ['skipped'] : ['submitted', 'running', 'succeeded'],
    );
    const refused = await this.#send('/events', { ...event(`${this.#database}-nobody`), member: null });
    expectEqual(refused.status, 403, 'an event without roles for a restricted command');
    expectEqual(await this.#goTables(), before, 'the rows and migrations of the Go service');
    const redis = new Redis(this.#world.redisUrl);
    const session = JSON.parse((await redis.get(`facteur:dispatch:${ADA}`)) ?? '{}') as Row;
    redis.disconnect();
    expectEqual(session['WorkflowName'], fresh.body.workflowName, 'the session in Redis, in the Go service’s form');
    this.#done('image only: redeliveries are recognized, new events run, the Go service’s rows are unchanged');
  }

  async #consume(): Promise<void> {
    const consumer = this.#facteur('consume');
    try {
      await consumer.until('the group is at the end', async () => (await this.#topic.committed()) === 4n);
    } finally {
      await consumer.stop();
    }
    const { rows } = await this.#db.query<{ readonly delivery_id: string }>(
      `SELECT delivery_id FROM facteur.runs WHERE delivery_id ~ ('^' || $1 || '-[1-4]$') ORDER BY 1`,
      [this.#database],
    );
    const expected = [3, 4].map((number) => `${this.#database}-${number}`);
    expectEqual(
      rows.map((row) => row.delivery_id),
      expected,
      'the records after the committed offset',
    );
    this.#done('Kafka: the consumer continues at the offset of the Go service’s group');
  }

  /** Discord's endpoint is still the relay. */
  async #followUp(): Promise<void> {
    const relay = await startRelay({
      send: (fields) => this.#send('/events', fields),
      answer: 'Received.',
      ephemeral: false,
      applicationId: this.#discord.applicationId,
    });
    try {
      this.#discord.people.pointAt(relay.url);
      await this.#discord.people.command('plan', [{ name: 'objective', value: 'Land on the moon' }]);
      await this.#until('the relay’s answer becomes the run’s message', () => this.#versions(0).length > 1);
      expectEqual(this.#discord.messages().length, 1, 'messages in Discord');
      this.#done('follow_up_events: the relay’s answer becomes the live message of the run');
    } finally {
      relay.close();
    }
  }

  async #moveEndpoint(): Promise<void> {
    await this.#discord.people.saveEndpoint(`${this.#url}/discord/interactions`);
    const { outcome, answer } = await this.#discord.people.command('plan', [
      { name: 'objective', value: 'Stay there' },
    ]);
    expectEqual([outcome, answer['type']], ['acknowledged', 5], 'facteur’s answer to Discord');
    await this.#until('the message follows the run', () => this.#versions(1).length > 1);
    this.#done('endpoint: Discord accepts facteur’s, and a command has its live message');
  }

  async #migrateAhead(): Promise<void> {
    const migration = this.#facteur('migrate');
    expectEqual(await migration.ended(), 0, 'the exit code of migrate');
    expectEqual(migration.log.includes('noop'), true, 'a second migrate has nothing to do');
    this.#done('migrate: run ahead, it leaves nothing for the start to wait for');
  }

  async #goBack(go: GoService): Promise<void> {
    const { rows } = await this.#db.query<{ readonly version_id: string }>(
      'SELECT version_id FROM goose_db_version ORDER BY id',
    );
    const versions = rows.map((row) => Number(row.version_id));
    expectEqual(
      versions.filter((version) => version > 3),
      [],
      'migrations of ours in the Go service’s record',
    );
    await go.serve(this.#url, async () => {
      await this.#send('/codex/tasks', codexTask('back')).then(mustBe(202));
    });
    if (go.isReal) {
      await this.#forthAgain();
    }
    this.#done(
      `and back: ${go.isReal ? 'the Go service works on the database, and facteur after it' : 'its record of migrations is unchanged'}`,
    );
  }

  /** For facteur, a delivery that the Go service recorded meanwhile is a redelivery. */
  async #forthAgain(): Promise<void> {
    const facteur = this.#facteur('serve');
    try {
      await facteur.until('it becomes ready again', async () => (await statusOf(`${this.#url}/readyz`)) === 200);
      await this.#send('/codex/tasks', codexTask('back')).then(mustBe(202));
      await this.#hasOneRow('back');
    } finally {
      await facteur.stop();
    }
  }

  async #hasOneRow(deliveryId: string): Promise<void> {
    const text = 'SELECT count(*) FROM codex_kb.task_runs WHERE delivery_id = $1';
    const { rows } = await this.#db.query<{ readonly count: string }>(text, [deliveryId]);
    expectEqual(Number(rows[0]?.count), 1, `rows of ${deliveryId}, which both services had`);
  }

  get #url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The variables of the Go service's manifest, unchanged, and those of this machine. */
  #environment(): Record<string, string> {
    const { kubeconfig, redisUrl, broker, dsn } = this.#world;
    return {
      HOME: '/nonexistent',
      FACTEUR_CONFIG_FILE: CONFIG,
      FACTEUR_DISCORD_BOT_TOKEN: this.#discord.botToken,
      FACTEUR_DISCORD_APPLICATION_ID: this.#discord.applicationId,
      FACTEUR_REDIS_URL: redisUrl,
      FACTEUR_POSTGRES_DSN: withDatabase(dsn, this.#database),
      FACTEUR_ARGO_NAMESPACE: 'argo-workflows',
      FACTEUR_ARGO_WORKFLOW_TEMPLATE: 'facteur-dispatch',
      OTEL_SERVICE_NAME: 'facteur',
      OTEL_SDK_DISABLED: 'true',
      FACTEUR_SERVER_LISTEN_ADDRESS: `127.0.0.1:${this.#port}`,
      FACTEUR_CONSUMER_BROKERS: broker,
      ...(kubeconfig === undefined ? { FACTEUR_DISABLE_DISPATCHER: 'true' } : { FACTEUR_KUBECONFIG: kubeconfig }),
    };
  }

  #facteur(command: 'serve' | 'migrate' | 'consume'): ServiceProcess {
    const env = {
      ...this.#environment(),
      FACTEUR_DISCORD_API_BASE_URL: this.#discord.apiBaseUrl,
      FACTEUR_DISCORD_PUBLIC_KEY: this.#discord.publicKey,
      FACTEUR_DISCORD_FOLLOW_UP_EVENTS: 'true',
      FACTEUR_CONSUMER_ENABLED: 'true',
      FACTEUR_CONSUMER_TOPIC: this.#topic.name,
      FACTEUR_CONSUMER_GROUP_ID: this.#topic.group,
    };
    return new ServiceProcess({ command: process.execPath, args: [EXECUTABLE, command], env });
  }

  /** Sends protobuf, the only format that the Go service accepts. */
  async #send(path: keyof typeof SCHEMAS, message: JsonObject): Promise<Answer> {
    const bytes = toBinary(SCHEMAS[path], fromJson(SCHEMAS[path], message));
    const headers = { 'content-type': 'application/x-protobuf' };
    const response = await fetch(this.#url + path, { method: 'POST', headers, body: Uint8Array.from(bytes) });
    return { status: response.status, body: JSON.parse(await response.text()) as Answer['body'] };
  }

  /** The rows that only the Go service wrote, and its record of migrations. */
  async #goTables(): Promise<Row> {
    const { rows } = await this.#db.query<Row>(`SELECT
      (SELECT jsonb_agg(to_jsonb(r) - 'updated_at' ORDER BY id) FROM codex_kb.reflections r) AS reflections,
      (SELECT jsonb_agg(to_jsonb(t) - 'updated_at' ORDER BY id) FROM codex_kb.artifacts t) AS artifacts,
      (SELECT jsonb_agg(version_id ORDER BY id) FROM goose_db_version) AS versions`);
    return rows[0] ?? {};
  }

  async #reaches(runId: string, states: readonly string[]): Promise<void> {
    await this.#until(`run ${runId} is ${states.join(' or ')}`, async () => {
      const text = 'SELECT state FROM facteur.runs WHERE run_id = $1';
      const { rows } = await this.#db.query<{ readonly state: string }>(text, [runId]);
      return states.includes(rows[0]?.state ?? '');
    });
  }

  #versions(index: number): readonly unknown[] {
    return this.#discord.messages()[index]?.versions ?? [];
  }

  async #until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    const deadline = performance.now() + 60_000;
    while (!(await holds())) {
      if (performance.now() > deadline) {
        throw new Error(`${what}: it did not come to that`);
      }
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    }
  }

  #done(step: string): void {
    this.#world.say(`ok  ${step}`);
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#discord.close(), this.#topic.remove(), this.#db.end()]);
    await administer(this.#world.dsn, `DROP DATABASE ${this.#database} WITH (FORCE)`);
  }
}

function event(interactionId: string): JsonObject {
  return {
    command: 'plan',
    interactionId,
    options: { payload: '{"prompt": "rehearse"}' },
    user: { id: ADA },
    member: { id: ADA, roles: [ROLE] },
  };
}

function codexTask(deliveryId: string): JsonObject {
  return {
    stage: 'CODEX_TASK_STAGE_IMPLEMENTATION',
    deliveryId,
    prompt: 'Rehearse.',
    repository: 'acme/rocket',
    base: 'main',
    head: `codex/${deliveryId}`,
    issueNumber: '70',
  };
}

function mustBe(status: number): (answer: Answer) => void {
  return (answer) => expectEqual(answer.status, status, `the answer ${JSON.stringify(answer.body)}`);
}

function expectEqual(actual: unknown, expected: unknown, what: string): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    throw new Error(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
  }
}
