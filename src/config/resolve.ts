import { Secret } from '../base/secret.ts';
import { resolveCommands } from './commands.ts';
import type {
  CodexConfig,
  CodexListenerConfig,
  CommandTemplatesConfig,
  Config,
  ConfigWith,
  ConsumerConfig,
  DiscordConfig,
  EmbeddingsConfig,
  IntakeOidc,
  KafkaConfig,
  KnowledgeConfig,
} from './config.ts';
import { dictionary, present } from './dictionary.ts';
import type { Environment } from './environment.ts';
import { readProxies } from './egress-proxy.ts';
import { read } from './environment.ts';
import { PUBLIC_KEY } from './kinds.ts';
import { listenersOf } from './listeners.ts';
import { completeDsn } from './postgres-dsn.ts';
import type { FileConfig } from './schema.ts';

/** Any configuration: the groups with required keys may be absent. */
type AnyConfig = ConfigWith<never>;

/** The values under the names that the code uses; a group that lacks a required key is absent. */
export function resolve(values: FileConfig, env: Environment): AnyConfig {
  const { server, discord, redis, postgres } = values;
  return {
    server: {
      listeners: listenersOf(
        server.listen_address,
        present({
          intake: server.intake_address,
          discord: discord.listen_address,
          api: server.api_address,
          metrics: server.metrics_address,
        }),
      ),
      intakeTokens: server.intake_tokens,
      ...present({ intakeOidc: intakeOidcOf(values) }),
      apiTokens: server.api_tokens.map((token) =>
        token instanceof Secret ? { name: 'token', scope: 'admin' as const, token } : token,
      ),
      maxBodyBytes: server.max_body_bytes,
      ...present({ publicUrl: server.public_url }),
      runTokenKeys: server.run_token_keys,
      runTokenGraceMs: server.run_token_grace,
    },
    ...present({
      discord: discordOf(values),
      redis: redis.url === undefined ? undefined : { url: redis.url },
      postgres: postgres.dsn === undefined ? undefined : { dsn: new Secret(completeDsn(postgres.dsn.reveal(), env)) },
      argo: argoOf(values),
      embeddings: embeddingsOf(values),
      commandsFromTemplates: commandTemplatesOf(values),
      facteurKubeconfig: read(env, 'FACTEUR_KUBECONFIG'),
      kubeconfig: read(env, 'KUBECONFIG'),
    }),
    roleMap: dictionary(Object.entries(values.role_map).map(([name, roles]) => [name.toLowerCase(), roles])),
    commands: resolveCommands(values.commands, values.knowledge.enabled),
    consumer: consumerOf(values),
    codexListener: codexListenerOf(values),
    codex: codexOf(values),
    knowledge: knowledgeOf(values),
    telemetry: present({ traceUrl: values.telemetry.trace_url }),
    proxies: readProxies(env),
    dispatcherDisabled: isOn(env['FACTEUR_DISABLE_DISPATCHER']),
    version: read(env, 'FACTEUR_VERSION') ?? '',
    commit: read(env, 'FACTEUR_COMMIT') ?? '',
  };
}

function intakeOidcOf({ server }: FileConfig): IntakeOidc | undefined {
  const { issuer, audience, subjects } = server.intake_oidc;
  return issuer === undefined || audience === undefined ? undefined : { issuer, audience, subjects };
}

/** Whether the text can be a public key, unlike placeholders such as `your-discord-public-key`. */
export function isPublicKey(text: string): boolean {
  return PUBLIC_KEY.test(text.trim());
}

/** Any value except empty, `0`, `false` and `no`. */
function isOn(value: string | undefined): boolean {
  return !['', '0', 'false', 'no'].includes((value ?? '').trim().toLowerCase());
}

function discordOf({ discord }: FileConfig): DiscordConfig | undefined {
  const { bot_token: botToken, application_id: applicationId, public_key: key = '' } = discord;
  if (botToken === undefined || applicationId === undefined) {
    return undefined;
  }
  const publicKey = isPublicKey(key) ? key.trim().toLowerCase() : undefined;
  return {
    botToken,
    applicationId,
    registerCommands: discord.register_commands,
    apiBaseUrl: discord.api_base_url,
    followUpEvents: discord.follow_up_events,
    ...present({ publicKey, guildId: discord.guild_id }),
  };
}

function argoOf({ argo }: FileConfig): Config['argo'] | undefined {
  const { namespace, workflow_template: workflowTemplate } = argo;
  if (namespace === undefined || workflowTemplate === undefined) {
    return undefined;
  }
  return {
    namespace,
    workflowTemplate,
    serviceAccount: argo.service_account ?? '',
    parameters: dictionary(Object.entries(argo.parameters)),
    ...present({ uiUrl: argo.ui_url, maxActive: argo.max_active }),
  };
}

function commandTemplatesOf({ commands_from_templates: from }: FileConfig): CommandTemplatesConfig | undefined {
  return from.namespaces.length === 0
    ? undefined
    : {
        namespaces: [...new Set(from.namespaces)],
        serviceAccounts: from.service_accounts,
        defaultRoles: from.default_roles,
        ...present({ selector: from.selector }),
      };
}

function embeddingsOf({ embeddings }: FileConfig): EmbeddingsConfig | undefined {
  const { url, model, api_key: apiKey, dimensions } = embeddings;
  return url === undefined || model === undefined
    ? undefined
    : {
        url,
        model,
        queryPrefix: embeddings.query_prefix,
        passagePrefix: embeddings.passage_prefix,
        timeoutMs: embeddings.timeout,
        ...present({ apiKey, dimensions }),
      };
}

/**
 * The similarity that about one in twenty unrelated texts reaches (docs/knowledge.md). E5 models find all texts similar; other
 * models were not measured.
 */
const MIN_SIMILARITY = { ngrams: 0.3, e5: 0.84, model: 0.35 } as const;
const E5_MODEL = /(?:^|[^a-z0-9])e5(?:[^a-z0-9]|$)/i;

function minSimilarity({ url, model = '' }: FileConfig['embeddings']): number {
  if (url === undefined) {
    return MIN_SIMILARITY.ngrams;
  }
  return E5_MODEL.test(model) ? MIN_SIMILARITY.e5 : MIN_SIMILARITY.model;
}

function knowledgeOf({ knowledge, embeddings }: FileConfig): KnowledgeConfig {
  return {
    enabled: knowledge.enabled,
    holdout: knowledge.holdout,
    minSimilarity: knowledge.min_similarity ?? minSimilarity(embeddings),
    trustedAuthors: knowledge.trusted_authors,
    trustedRepositories: knowledge.trusted_repositories,
    reviewers: knowledge.reviewers,
    feedback: present({
      ssfoWorkflowTemplate: knowledge.ssfo_workflow_template,
      refreshWorkflowTemplate: knowledge.refresh_workflow_template,
    }),
  };
}

function kafkaOf({ brokers, tls, sasl }: FileConfig['codex_listener'] | FileConfig['consumer']): KafkaConfig {
  const { mechanism, username, password } = sasl;
  const login = sasl.enabled && username !== undefined && password !== undefined;
  return {
    brokers,
    ...present({
      tls: tls.enabled
        ? { insecureSkipVerify: tls.insecure_skip_verify, ...present({ caFile: tls.ca_file }) }
        : undefined,
      sasl: login ? { mechanism, username, password } : undefined,
    }),
  };
}

function consumerOf({ consumer }: FileConfig): ConsumerConfig {
  return {
    ...kafkaOf(consumer),
    enabled: consumer.enabled,
    topic: consumer.topic ?? '',
    groupId: consumer.group_id ?? '',
    dlq: { enabled: consumer.dlq.enabled, topic: consumer.dlq.topic ?? '' },
    maxAttempts: consumer.max_attempts,
    minBytes: consumer.min_bytes,
    maxBytes: consumer.max_bytes,
    maxWaitMs: consumer.max_wait,
  };
}

function codexListenerOf({ codex_listener: listener }: FileConfig): CodexListenerConfig {
  return { ...kafkaOf(listener), enabled: listener.enabled, topic: listener.topic, groupId: listener.group_id };
}

function codexOf({ codex_implementation_orchestrator: codex, knowledge }: FileConfig): CodexConfig {
  return {
    enabled: codex.enabled,
    autonomousWorkflowTemplate: codex.autonomous_workflow_template,
    autonomousNamePrefix: codex.autonomous_generate_name_prefix,
    judgePrompt: codex.judge_prompt,
    reports: codex.report,
    reflections: knowledge.enabled,
    parameters: dictionary(Object.entries(codex.parameters)),
    ...present({
      namespace: codex.namespace,
      workflowTemplate: codex.workflow_template,
      serviceAccount: codex.service_account,
      autonomousNamespace: codex.autonomous_namespace,
      autonomousServiceAccount: codex.autonomous_service_account,
    }),
  };
}
