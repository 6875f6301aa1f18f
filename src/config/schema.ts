import * as z from 'zod';
import { EMBEDDING_WIDTH } from '../domain/embedding.ts';
import { SNOWFLAKE } from '../domain/snowflake.ts';
import { commandFaults, sizeFaults } from './command-rules.ts';
import { COMMAND, commandName } from './command-shape.ts';
import * as kind from './kinds.ts';
import { parsePostgresDsn } from './postgres-dsn.ts';
import { parseRedisUrl } from './redis-url.ts';

const SASL_MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;
/** 4 MiB. */
const DEFAULT_BODY_BYTES = 4_194_304;
/** 10 MiB. */
const DEFAULT_FETCH_BYTES = 10_485_760;

const group = <T extends z.core.$ZodLooseShape>(shape: T): z.ZodPrefault<z.ZodObject<T, z.core.$strict>> =>
  z.strictObject(shape).prefault({} as never);

const BROKERS = 'Bootstrap brokers, each `HOST:PORT`, or `HOST` for port 9092. Required when enabled.';

const tls = group({
  enabled: kind.flag().default(false).describe('Use TLS to the brokers.'),
  ca_file: kind
    .text()
    .optional()
    .describe("PEM file of the certificate authorities to trust, instead of the system's."),
  insecure_skip_verify: kind.flag().default(false).describe('Accept any certificate; for tests only.'),
});

const sasl = group({
  enabled: kind.flag().default(false).describe('Authenticate to the brokers.'),
  mechanism: z
    .string({ error: kind.expected('text') })
    .trim()
    .toLowerCase()
    .pipe(z.enum(SASL_MECHANISMS, { error: kind.expected(`one of ${SASL_MECHANISMS.join(', ')}`) }))
    .prefault('plain')
    .describe('`plain`, `scram-sha-256` or `scram-sha-512`, in any case.'),
  username: kind.text().optional().describe('SASL user. Required when SASL is enabled.'),
  password: kind.secret().optional().describe('SASL password. Required when SASL is enabled.'),
});

const API_SCOPES = ['read', 'operate', 'admin'] as const;

/** A token without a scope is an administrator's, as before tokens had scopes. */
const apiToken = z
  .union(
    [
      kind.secret(),
      z.strictObject({
        name: kind.text().max(64).describe('Name of the holder, for the audit trail.'),
        scope: z.enum(API_SCOPES, { error: kind.expected(`one of ${API_SCOPES.join(', ')}`) }),
        token: kind.secret(),
      }),
    ],
    { error: kind.expected('a token, or an object with name, scope and token') },
  )
  .meta({ writeOnly: true });

const runTokenKey = z
  .strictObject({
    id: kind.text().regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores'),
    secret: kind.secret(32),
  })
  .meta({ writeOnly: true });

const intakeOidc = group({
  issuer: kind
    .text()
    .optional()
    .describe("Accept tokens of the cluster's service accounts on intake: the cluster's `--service-account-issuer`."),
  audience: kind.text().optional().describe('Audience that tokens must be issued for. Required with an issuer.'),
  subjects: kind
    .list(kind.text())
    .default([])
    .describe(
      'Accounts whose tokens are accepted, as `system:serviceaccount:NAMESPACE:NAME`. Required with an issuer: any pod can get a token for any audience.',
    ),
});

const server = group({
  listen_address: kind.listenAddress().prefault(':8080').describe('`:PORT`, `HOST:PORT` or `[::]:PORT`.'),
  intake_address: kind
    .listenAddress()
    .optional()
    .describe('Address that serves `/events` and `/codex/tasks`. Default: `server.listen_address`.'),
  api_address: kind.listenAddress().optional().describe('Address that serves `/v1`. Default: `server.listen_address`.'),
  metrics_address: kind
    .listenAddress()
    .optional()
    .describe('Address that serves `/metrics`. Default: `server.listen_address`.'),
  intake_tokens: kind
    .list(kind.secret())
    .default([])
    .describe(
      'Bearer tokens accepted on `/events` and `/codex/tasks`. Without tokens and `server.intake_oidc` both are open.',
    ),
  intake_oidc: intakeOidc,
  api_tokens: kind
    .list(apiToken)
    .default([])
    .describe(
      'Bearer tokens accepted on `/v1`: strings, or `{name, scope, token}` with the scope `read`, `operate` or `admin`. Without tokens only loopback peers may use it.',
    ),
  max_body_bytes: kind.integer(1).default(DEFAULT_BODY_BYTES).describe('Larger request bodies get 413.'),
  public_url: kind
    .httpUrl()
    .optional()
    .describe(
      'URL at which workflows reach facteur to report back. When set, each workflow receives `facteur_url` and `facteur_token`.',
    ),
  run_token_keys: kind
    .list(runTokenKey)
    .default([])
    .describe(
      'Keys for run tokens: `{id, secret}`, with secrets of at least 32 bytes. The first signs, all verify. Required when `server.public_url` is set.',
    ),
  run_token_grace: kind
    .duration()
    .prefault('15m')
    .describe('How long a run token stays valid after its run has ended.'),
});

const discord = group({
  bot_token: kind.secret().optional().describe('Bot token for calls to Discord. Required.'),
  application_id: kind.snowflake().optional().describe('Application id. Required.'),
  public_key: kind
    .prose()
    .meta({ pattern: kind.PUBLIC_KEY.source })
    .optional()
    .describe('64 hex digits. Without it `/discord/interactions` answers 503.'),
  guild_id: kind
    .snowflake()
    .optional()
    .describe(
      'Server (guild) in which commands are registered. When set, interactions from other servers are refused.',
    ),
  follow_up_events: kind
    .flag()
    .default(false)
    .describe(
      'Follow up on events that carry an interaction token (`/events`, Kafka), as on commands that Discord sends to facteur: the message of the service that answered the interaction becomes that of the run.',
    ),
  listen_address: kind
    .listenAddress()
    .optional()
    .describe('Address that serves `/discord/interactions`. Default: `server.listen_address`.'),
  register_commands: kind
    .flag()
    .default(false)
    .describe(
      'Keep the slash commands registered with Discord as they change, in `discord.guild_id` or else everywhere.',
    ),
  api_base_url: kind
    .httpUrl()
    .prefault('https://discord.com/api')
    .describe('Base URL of the Discord API, without `/v10`; for tests and proxies.'),
});

const redis = group({
  url: kind
    .secretUrl(parseRedisUrl)
    .optional()
    .describe(
      '`redis://HOST:6379/0`, `rediss://…`, `unix:///SOCKET?db=0`, or `memory://` to keep sessions in the process. Required.',
    ),
});

const postgres = group({
  dsn: kind
    .secretUrl(parsePostgresDsn, 'dsn')
    .optional()
    .describe(
      '`postgres://…` or `host=… dbname=…`, or `pglite:DIR` / `pglite:memory` for the embedded Postgres. Required.',
    ),
});

const argo = group({
  namespace: kind.kubernetesName().optional().describe('Namespace in which workflows are created. Required.'),
  workflow_template: kind.kubernetesName().optional().describe('WorkflowTemplate that commands run. Required.'),
  service_account: kind
    .kubernetesName()
    .optional()
    .describe("Service account of the workflows. Default: the namespace's own default."),
  parameters: kind.parameters().default({}).describe('Parameters of every workflow.'),
  ui_url: kind.httpUrl().optional().describe('Base URL of the Argo UI, for links in replies.'),
  max_active: kind.integer(1, kind.MAX_INT32).optional().describe('Maximum number of live workflows; other runs wait.'),
});

const roleMap = z.record(
  // Not every editor understands the pattern of `lapses.ts`.
  z.string().meta({ pattern: String.raw`^[^A-Z\s]+( [^A-Z\s]+){0,2}$` }),
  kind.list(kind.snowflake()).meta({ uniqueItems: true }),
  { error: kind.expected('a map') },
);

const commands = z
  .record(
    commandName(),
    COMMAND.superRefine((entry, context) => {
      for (const { path, message } of commandFaults(entry)) {
        context.addIssue({ code: 'custom', path: [...path], message });
      }
    }),
    { error: kind.expected('a map') },
  )
  .superRefine((entries, context) => {
    for (const [name, entry] of Object.entries(entries)) {
      for (const { path, message } of sizeFaults(name, entry)) {
        context.addIssue({ code: 'custom', path: [name, ...path], message });
      }
    }
  });

const commandsFromTemplates = group({
  namespaces: kind
    .list(kind.kubernetesName())
    .default([])
    .describe('Namespaces whose annotated WorkflowTemplates become commands. Empty: none do.'),
  selector: kind.text().optional().describe('Label selector that limits those templates.'),
  service_accounts: kind
    .list(kind.kubernetesName())
    .default([])
    .describe('Service accounts that such a template may name, besides `argo.service_account`.'),
  default_roles: kind
    .list(kind.text())
    .default([])
    .describe(
      'Discord role ids, or names in `role_map`, for templates without the annotation `roles`. Empty: nobody may run those.',
    ),
});

const consumer = group({
  enabled: kind.flag().default(false).describe('Read command events from Kafka with `facteur consume`.'),
  brokers: kind.brokers().default([]).describe(BROKERS),
  topic: kind.text().optional().describe('Topic of command events. Required when enabled.'),
  group_id: kind.text().optional().describe('Consumer group. Required when enabled.'),
  dlq: group({
    enabled: kind.flag().default(false).describe('Send dead letters to a topic instead of the table.'),
    topic: kind.text().optional().describe('Topic of dead letters. Required when the dead-letter queue is enabled.'),
  }),
  max_attempts: kind.integer(1).default(5).describe('Attempts before a message is dead-lettered.'),
  min_bytes: kind
    .integer(1, kind.MAX_INT32)
    .default(1)
    .describe('Minimum bytes per fetch; the broker waits for them up to `max_wait`.'),
  max_bytes: kind.integer(1, kind.MAX_INT32).default(DEFAULT_FETCH_BYTES).describe('Maximum bytes in memory.'),
  max_wait: kind
    .duration()
    .prefault('1s')
    .describe('How long a broker waits for `min_bytes`, such as `500ms` or `1m30s`.'),
  tls,
  sasl,
});

const codexListener = group({
  enabled: kind.flag().default(false).describe('Allow `facteur codex-listen` to run.'),
  brokers: kind.brokers().default([]).describe(BROKERS),
  topic: kind.text().default('github.issues.codex.tasks').describe('Topic of structured Codex tasks.'),
  group_id: kind.text().default('facteur-codex-listener').describe('Consumer group.'),
  tls,
  sasl,
});

const orchestrator = group({
  enabled: kind.flag().default(false).describe('Accept implementation tasks on `/codex/tasks`.'),
  namespace: kind.kubernetesName().optional().describe('Default: `argo.namespace`.'),
  workflow_template: kind.kubernetesName().optional().describe('Default: `argo.workflow_template`.'),
  service_account: kind.kubernetesName().optional().describe('Default: `argo.service_account`.'),
  autonomous_workflow_template: kind
    .kubernetesName()
    .default('codex-autonomous')
    .describe('WorkflowTemplate of autonomous tasks.'),
  autonomous_namespace: kind
    .kubernetesName()
    .optional()
    .describe('Namespace of autonomous tasks. Default: `namespace`.'),
  autonomous_service_account: kind
    .kubernetesName()
    .optional()
    .describe('Service account of autonomous tasks. Default: `service_account`.'),
  autonomous_generate_name_prefix: kind
    .text()
    .default('codex-autonomous-')
    .describe('Name prefix of autonomous workflows; other names begin with `github-codex-implementation-`.'),
  judge_prompt: kind.prose().default('').describe('Value of the parameter `judge_prompt` of every Codex workflow.'),
  report: kind
    .flag()
    .default(true)
    .describe('Give Codex workflows a token to report back with, where `server.public_url` is set.'),
  parameters: kind.parameters().default({}).describe('Parameters of Codex workflows; they override `argo.parameters`.'),
});

const embeddings = group({
  url: kind
    .httpUrl()
    .optional()
    .describe(
      'OpenAI-compatible API that embeds reflections, such as `https://api.openai.com/v1`. Without it facteur compares words and parts of words.',
    ),
  model: kind.text().max(150).optional().describe('Embeddings model. Required when `embeddings.url` is set.'),
  api_key: kind.secret().optional().describe('Sent as a bearer token.'),
  dimensions: kind
    .integer(1, EMBEDDING_WIDTH)
    .optional()
    .describe(
      "Number of dimensions to request. Answers of another length are discarded. Default: the model's own, at most 1536.",
    ),
  query_prefix: kind.prose().default('').describe('Put before a text to search for; E5 models need `query: `.'),
  passage_prefix: kind.prose().default('').describe('Put before a text to store; E5 models need `passage: `.'),
  timeout: kind
    .duration()
    .prefault('3s')
    .describe('How long a request may take. A reflection that could not be embedded is found by its words.'),
});

const AUTHOR = /^(github:[A-Za-z0-9][A-Za-z0-9-]*(\[bot\])?|discord:[0-9]{17,20}|api:.+)$/;
const REPOSITORY = /^[\w.-]+\/[\w.-]+$/;

const knowledge = group({
  enabled: kind
    .flag()
    .default(false)
    .describe(
      'Give Codex workflows, and commands with `reflections: true`, what earlier runs in the repository learned.',
    ),
  holdout: kind
    .share()
    .default(0.1)
    .describe('Share of runs that receive no reflections, so that `facteur knowledge stats` has a comparison.'),
  min_similarity: kind
    .share()
    .optional()
    .describe(
      'Least cosine similarity of a reflection that a run receives. Default: 0.3; with `embeddings.url` 0.84 for E5 models and 0.35 for others.',
    ),
  trusted_authors: kind
    .list(kind.text().regex(AUTHOR, 'must be github:LOGIN, discord:ID or api:NAME'))
    .default([])
    .describe(
      'Whose runs teach later runs without review, if they succeed: `github:LOGIN`, `discord:ID` or `api:NAME`.',
    ),
  trusted_repositories: kind
    .list(kind.text().regex(REPOSITORY, 'must be OWNER/NAME'))
    .default([])
    .describe('Repositories whose Codex tasks teach later runs without review, if they succeed: `OWNER/NAME`.'),
  reviewers: kind
    .list(kind.text().regex(SNOWFLAKE, 'must be the id of a Discord role'))
    .default([])
    .describe(
      'Ids of Discord roles that may review reflections. The message of a run that has ended then has a button for those that wait.',
    ),
  ssfo_workflow_template: kind
    .kubernetesName()
    .optional()
    .describe('WorkflowTemplate that runs for each SSFO pair that a workflow reports.'),
  refresh_workflow_template: kind
    .kubernetesName()
    .optional()
    .describe('WorkflowTemplate that `POST /v1/embedding-refreshes` runs.'),
});

const telemetry = group({
  trace_url: kind
    .traceUrl()
    .optional()
    .describe('URL of a trace in your tracing UI, with `{trace_id}` for its id: links in `facteur runs` and `/v1`.'),
});

/** All keys of the configuration file. None is required here, since the environment may provide it. */
export const FILE = z
  .strictObject({
    server,
    discord,
    redis,
    postgres,
    argo,
    role_map: roleMap
      .default({})
      .describe(
        'Map from command to the Discord role ids that may run it. Without an entry, or with an empty one, anyone may.',
      ),
    commands: commands
      .default({})
      .describe('Slash commands; they add to or replace plan, implement, review and status.'),
    commands_from_templates: commandsFromTemplates,
    consumer,
    codex_listener: codexListener,
    codex_implementation_orchestrator: orchestrator,
    embeddings,
    knowledge,
    telemetry,
  })
  .meta({ title: 'facteur configuration' });

/** The file with every default filled in, its secrets wrapped, still under the file's names. */
export type FileConfig = z.output<typeof FILE>;
