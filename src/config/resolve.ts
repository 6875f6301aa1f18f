import { resolveCommands } from './commands.ts';
import type {
  CodexConfig,
  CodexListenerConfig,
  Config,
  ConfigWith,
  ConsumerConfig,
  DiscordConfig,
  EmbeddingsConfig,
  KafkaConfig,
} from './config.ts';
import { dictionary, present } from './dictionary.ts';
import type { Environment } from './environment.ts';
import { read } from './environment.ts';
import { PUBLIC_KEY } from './kinds.ts';
import type { FileConfig } from './schema.ts';

/** Any configuration: the groups with required keys may be absent. */
export type AnyConfig = ConfigWith<never>;

/** The values under the names that the code uses; a group whose required keys are not all there is absent. */
export function resolve(values: FileConfig, env: Environment): AnyConfig {
  const { server, redis, postgres } = values;
  return {
    server: {
      host: server.listen_address.host,
      port: server.listen_address.port,
      listenAddress: server.listen_address.text,
      intakeTokens: server.intake_tokens,
      apiTokens: server.api_tokens,
      maxBodyBytes: server.max_body_bytes,
      ...present({ publicUrl: server.public_url }),
    },
    ...present({
      discord: discordOf(values),
      redis: redis.url === undefined ? undefined : { url: redis.url },
      postgres: postgres.dsn === undefined ? undefined : { dsn: postgres.dsn },
      argo: argoOf(values),
      embeddings: embeddingsOf(values),
      facteurKubeconfig: read(env, 'FACTEUR_KUBECONFIG'),
      kubeconfig: read(env, 'KUBECONFIG'),
    }),
    roleMap: dictionary(Object.entries(values.role_map).map(([name, roles]) => [name.toLowerCase(), roles])),
    commands: resolveCommands(values.commands),
    consumer: consumerOf(values),
    codexListener: codexListenerOf(values),
    codex: codexOf(values),
    dispatcherDisabled: isOn(env['FACTEUR_DISABLE_DISPATCHER']),
    version: read(env, 'FACTEUR_VERSION') ?? '',
    commit: read(env, 'FACTEUR_COMMIT') ?? '',
  };
}

/** Whether a public key can be one; placeholders such as `your-discord-public-key` cannot. */
export function isPublicKey(text: string): boolean {
  return PUBLIC_KEY.test(text.trim());
}

/** Anything but nothing, `0`, `false` and `no`. */
function isOn(value: string | undefined): boolean {
  return !['', '0', 'false', 'no'].includes((value ?? '').trim().toLowerCase());
}

function discordOf({ discord }: FileConfig): DiscordConfig | undefined {
  const { bot_token: botToken, application_id: applicationId, public_key: key = '' } = discord;
  if (botToken === undefined || applicationId === undefined) {
    return undefined;
  }
  const publicKey = isPublicKey(key) ? key.toLowerCase() : undefined;
  return {
    botToken,
    applicationId,
    apiBaseUrl: discord.api_base_url,
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

function embeddingsOf({ embeddings }: FileConfig): EmbeddingsConfig | undefined {
  const { url, model, api_key: apiKey, dimensions } = embeddings;
  return url === undefined || model === undefined ? undefined : { url, model, dimensions, ...present({ apiKey }) };
}

function kafkaOf({ brokers, tls, sasl }: FileConfig['codex_listener'] | FileConfig['consumer']): KafkaConfig {
  const { mechanism, username, password } = sasl;
  const login = sasl.enabled && username !== undefined && password !== undefined;
  return {
    brokers,
    ...present({
      tls: tls.enabled ? { insecureSkipVerify: tls.insecure_skip_verify } : undefined,
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

function codexOf({ codex_implementation_orchestrator: codex }: FileConfig): CodexConfig {
  return {
    enabled: codex.enabled,
    autonomousWorkflowTemplate: codex.autonomous_workflow_template,
    autonomousNamePrefix: codex.autonomous_generate_name_prefix,
    judgePrompt: codex.judge_prompt,
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
