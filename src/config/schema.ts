import * as z from 'zod';
import { commandFaults } from './command-rules.ts';
import { COMMAND, commandName } from './command-shape.ts';
import * as kind from './kinds.ts';

/** Command names in the role map: those that any door may send, not only Discord's. */
export const ROLE_MAP_NAME = /^[a-z0-9:_-]+$/;

const SASL_MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;
/** 4 MiB. */
const DEFAULT_BODY_BYTES = 4_194_304;
/** 10 MiB. */
const DEFAULT_FETCH_BYTES = 10_485_760;
/** The width of the column that holds embeddings. */
const EMBEDDING_WIDTH = 1536;

const group = <T extends z.core.$ZodLooseShape>(shape: T): z.ZodPrefault<z.ZodObject<T, z.core.$strict>> =>
  z.strictObject(shape).prefault({} as never);

const tls = group({
  enabled: kind.flag().default(false).describe('Speak TLS to the brokers.'),
  insecure_skip_verify: kind.flag().default(false).describe('Accept any certificate. For tests only.'),
});

const sasl = group({
  enabled: kind.flag().default(false).describe('Log in to the brokers.'),
  mechanism: z
    .string({ error: kind.expected('text') })
    .trim()
    .toLowerCase()
    .pipe(z.enum(SASL_MECHANISMS, { error: kind.expected(`one of ${SASL_MECHANISMS.join(', ')}`) }))
    .prefault('plain')
    .describe('`plain`, `scram-sha-256` or `scram-sha-512`, in any case.'),
  username: kind.text().optional().describe('Required when SASL is enabled.'),
  password: kind.secret().optional().describe('Required when SASL is enabled.'),
});

const server = group({
  listen_address: kind.listenAddress().prefault(':8080').describe('`:PORT`, `HOST:PORT` or `[::]:PORT`.'),
  intake_tokens: kind
    .list(kind.secret())
    .default([])
    .describe('Bearer tokens accepted on `/events` and `/codex/tasks`; none leaves them open.'),
  api_tokens: kind
    .list(kind.secret())
    .default([])
    .describe('Bearer tokens accepted on `/v1` and the console; none leaves them to loopback peers.'),
  max_body_bytes: kind.integer(1).default(DEFAULT_BODY_BYTES).describe('Larger request bodies are answered with 413.'),
  public_url: kind.httpUrl().optional().describe('Where workflows reach facteur.'),
});

const discord = group({
  bot_token: kind.secret().optional().describe('The bot token, for calls to Discord. Required.'),
  application_id: kind.snowflake().optional().describe('The application id. Required.'),
  public_key: kind
    .text()
    .meta({ pattern: kind.PUBLIC_KEY.source })
    .optional()
    .describe('64 hex digits; without it `/discord/interactions` answers 503.'),
  guild_id: kind
    .snowflake()
    .optional()
    .describe("Where commands are registered; when set, other guilds' interactions are refused."),
  api_base_url: kind
    .httpUrl()
    .prefault('https://discord.com/api')
    .describe('`/v10` is appended. For tests and proxies.'),
});

const redis = group({
  url: kind
    .secretUrl(/^(?:rediss?:\/\/.|memory:\/\/)/, 'a redis://, rediss:// or memory:// URL')
    .optional()
    .describe('`redis://…`, `rediss://…`, or `memory://` to keep sessions in the process. Required.'),
});

const postgres = group({
  dsn: kind
    .secretUrl(/^(?:postgres(?:ql)?:\/\/|pglite:.)/, 'a postgres:// URL, pglite:DIR or pglite:memory')
    .optional()
    .describe('`postgres://…`, or `pglite:DIR` / `pglite:memory` for the embedded Postgres. Required.'),
});

const argo = group({
  namespace: kind.kubernetesName().optional().describe('Where workflows are created. Required.'),
  workflow_template: kind.kubernetesName().optional().describe('The WorkflowTemplate that commands run. Required.'),
  service_account: kind
    .kubernetesName()
    .optional()
    .describe("The workflows' service account; none is the cluster's default."),
  parameters: kind.parameters().default({}).describe('Parameters of every workflow.'),
  ui_url: kind.httpUrl().optional().describe('Base of the Argo UI, for links in replies.'),
  max_active: kind.integer(1).optional().describe('The most live workflows of ours at a time; the rest wait.'),
});

const roleMap = z.record(
  z.string().meta({ pattern: ROLE_MAP_NAME.source }),
  kind.list(kind.snowflake()).meta({ uniqueItems: true }),
  { error: kind.expected('a map') },
);

const commands = z.record(
  commandName(),
  COMMAND.superRefine((entry, context) => {
    for (const { path, message } of commandFaults(entry)) {
      context.addIssue({ code: 'custom', path: [...path], message });
    }
  }),
  { error: kind.expected('a map') },
);

const consumer = group({
  enabled: kind.flag().default(false).describe('Whether `consume` reads command events.'),
  brokers: kind.brokers().default([]).describe('`HOST:PORT` each. Required when enabled.'),
  topic: kind.text().optional().describe('Required when enabled.'),
  group_id: kind.text().optional().describe('Required when enabled.'),
  dlq: group({
    enabled: kind.flag().default(false).describe('Send what cannot be processed to a topic instead of the table.'),
    topic: kind.text().optional().describe('Required when the dead-letter queue is enabled.'),
  }),
  max_attempts: kind.integer(1).default(5).describe('Tries before a message is dead-lettered.'),
  min_bytes: kind.integer(1, kind.MAX_INT32).default(1).describe('The least a broker waits for before it answers.'),
  max_bytes: kind
    .integer(1, kind.MAX_INT32)
    .default(DEFAULT_FETCH_BYTES)
    .describe('The most a broker answers at once.'),
  max_wait: kind
    .duration()
    .prefault('1s')
    .describe('How long a broker waits for `min_bytes`, such as `500ms` or `1m30s`.'),
  tls,
  sasl,
});

const codexListener = group({
  enabled: kind.flag().default(false).describe('Whether `codex-listen` may run.'),
  brokers: kind.brokers().default([]).describe('`HOST:PORT` each. Required when enabled.'),
  topic: kind.text().default('github.issues.codex.tasks').describe('The structured Codex topic.'),
  group_id: kind.text().default('facteur-codex-listener').describe('The consumer group.'),
  tls,
  sasl,
});

const orchestrator = group({
  enabled: kind.flag().default(false).describe('Whether `/codex/tasks` submits implementations.'),
  namespace: kind.kubernetesName().optional().describe('Else `argo.namespace`.'),
  workflow_template: kind.kubernetesName().optional().describe('Else `argo.workflow_template`.'),
  service_account: kind.kubernetesName().optional().describe('Else `argo.service_account`.'),
  autonomous_workflow_template: kind
    .kubernetesName()
    .default('codex-autonomous')
    .describe('Used when a task says autonomous.'),
  autonomous_namespace: kind.kubernetesName().optional().describe('For autonomous tasks; else `namespace`.'),
  autonomous_service_account: kind
    .kubernetesName()
    .optional()
    .describe('For autonomous tasks; else `service_account`.'),
  autonomous_generate_name_prefix: kind
    .text()
    .default('codex-autonomous-')
    .describe("How autonomous workflows' names begin; the others begin with `github-codex-implementation-`."),
  judge_prompt: kind.prose().default('').describe('The parameter `judge_prompt` of every Codex workflow.'),
  parameters: kind.parameters().default({}).describe('Laid over `argo.parameters`.'),
});

const embeddings = group({
  url: kind.httpUrl().optional().describe('An OpenAI-compatible embeddings endpoint; none turns embeddings off.'),
  model: kind.text().optional().describe('Required when `embeddings.url` is set.'),
  api_key: kind.secret().optional().describe('Sent as a bearer token.'),
  dimensions: kind.integer(1, EMBEDDING_WIDTH).default(EMBEDDING_WIDTH).describe('Numbers in a vector.'),
});

/** What the configuration file may hold, key by key. Nothing is required here: the environment may bring it. */
export const FILE = z
  .strictObject({
    server,
    discord,
    redis,
    postgres,
    argo,
    role_map: roleMap.default({}).describe('Command -> Discord role ids that may run it; absent or empty lets anyone.'),
    commands: commands
      .default({})
      .describe('Slash commands beside plan, implement, review and status, or in place of them.'),
    consumer,
    codex_listener: codexListener,
    codex_implementation_orchestrator: orchestrator,
    embeddings,
  })
  .meta({ title: 'facteur configuration' });

/** The file with every default filled in, its secrets wrapped, still under the file's names. */
export type FileConfig = z.output<typeof FILE>;
