import type { RunTokenKey } from '../base/run-token.ts';
import type { Secret } from '../base/secret.ts';
import type { CommandDefinition } from '../domain/command.ts';
import type { EgressProxies } from './egress-proxy.ts';
import type { Listeners } from './listeners.ts';

/** A bearer token for `/v1`: who presents it, and what they may do. */
export interface ApiToken {
  /** The name recorded for what the holder does. */
  readonly name: string;
  /** Each includes the ones before it: `read`, `operate`, `admin`. */
  readonly scope: 'read' | 'operate' | 'admin';
  readonly token: Secret;
}

/** Which service account tokens of the cluster are accepted on intake. */
export interface IntakeOidc {
  readonly issuer: string;
  readonly audience: string;
  /** `system:serviceaccount:NAMESPACE:NAME` of the senders. */
  readonly subjects: readonly string[];
}

/** Where the HTTP server listens and who may use it. */
export interface ServerConfig {
  readonly listeners: Listeners;
  /** Bearer tokens for `/events` and `/codex/tasks`; open without any and without `intakeOidc`. */
  readonly intakeTokens: readonly Secret[];
  /** Tokens of service accounts that are accepted on the same routes. */
  readonly intakeOidc?: IntakeOidc;
  /** Bearer tokens for `/v1` and the console; none means loopback peers only. */
  readonly apiTokens: readonly ApiToken[];
  readonly maxBodyBytes: number;
  /** Where workflows reach facteur; no slash at the end. */
  readonly publicUrl?: string;
  /** Keys of run tokens: the first signs, all verify. */
  readonly runTokenKeys: readonly RunTokenKey[];
  /** How long the token of an ended run stays valid, in milliseconds. */
  readonly runTokenGraceMs: number;
}

export interface DiscordConfig {
  readonly botToken: Secret;
  readonly applicationId: string;
  /** 64 lower-case hex digits; absent when none or no valid one is configured. */
  readonly publicKey?: string;
  readonly guildId?: string;
  /** Whether runs of events with an interaction token are followed up in Discord. */
  readonly followUpEvents: boolean;
  /** Whether changed commands are registered automatically. */
  readonly registerCommands: boolean;
  /** No slash and no version at the end. */
  readonly apiBaseUrl: string;
}

/** `redis://…`, `rediss://…` or `memory://`. */
interface RedisConfig {
  readonly url: Secret;
}

/** `postgres://…`, `postgresql://…`, `pglite:DIR` or `pglite:memory`. */
export interface PostgresConfig {
  readonly dsn: Secret;
}

export interface ArgoConfig {
  readonly namespace: string;
  readonly workflowTemplate: string;
  /** Empty: the cluster's default. */
  readonly serviceAccount: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** Base of the Argo UI; no slash at the end. */
  readonly uiUrl?: string;
  /** Maximum number of live workflows. */
  readonly maxActive?: number;
}

/** Which WorkflowTemplates may define commands. */
export interface CommandTemplatesConfig {
  readonly namespaces: readonly string[];
  readonly selector?: string;
  readonly serviceAccounts: readonly string[];
  /** Role ids, or names in the role map. */
  readonly defaultRoles: readonly string[];
}

export type SaslMechanism = 'plain' | 'scram-sha-256' | 'scram-sha-512';

/** How to reach a Kafka cluster. `tls` and `sasl` are present only when enabled. */
export interface KafkaConfig {
  /** `host:port` each. */
  readonly brokers: readonly string[];
  readonly tls?: { readonly insecureSkipVerify: boolean; readonly caFile?: string };
  readonly sasl?: {
    readonly mechanism: SaslMechanism;
    readonly username: string;
    readonly password: Secret;
  };
}

/** The command consumer. While `enabled` is false the texts may be empty. */
export interface ConsumerConfig extends KafkaConfig {
  readonly enabled: boolean;
  readonly topic: string;
  readonly groupId: string;
  readonly dlq: { readonly enabled: boolean; readonly topic: string };
  /** Attempts before a message is dead-lettered. */
  readonly maxAttempts: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
}

/** The Codex topic's listener. While `enabled` is false the texts may be empty. */
export interface CodexListenerConfig extends KafkaConfig {
  readonly enabled: boolean;
  readonly topic: string;
  readonly groupId: string;
}

/** The Codex implementation orchestrator. Targets are absent when not configured here: the planner falls back to `argo`. */
export interface CodexConfig {
  readonly enabled: boolean;
  readonly namespace?: string;
  readonly workflowTemplate?: string;
  readonly serviceAccount?: string;
  readonly autonomousWorkflowTemplate: string;
  readonly autonomousNamespace?: string;
  readonly autonomousServiceAccount?: string;
  readonly autonomousNamePrefix: string;
  /** Empty when none is configured. */
  readonly judgePrompt: string;
  /** Whether its workflows receive a token to report back with. */
  readonly reports: boolean;
  /** Whether its workflows receive reflections of earlier runs. */
  readonly reflections: boolean;
  readonly parameters: Readonly<Record<string, string>>;
}

/** An OpenAI-compatible embeddings endpoint. */
export interface EmbeddingsConfig {
  readonly url: string;
  readonly model: string;
  readonly apiKey?: Secret;
  /** Requested of the endpoint, and required of its answers. */
  readonly dimensions?: number;
  readonly queryPrefix: string;
  readonly passagePrefix: string;
  readonly timeoutMs: number;
}

/** WorkflowTemplates for the follow-up work of reflections; nothing is started for an absent one. */
export interface FeedbackConfig {
  readonly ssfoWorkflowTemplate?: string;
  readonly refreshWorkflowTemplate?: string;
}

/** What later runs learn from earlier ones. */
export interface KnowledgeConfig {
  readonly enabled: boolean;
  /** The share of runs that receive no reflections, for comparison: 0 to 1. */
  readonly holdout: number;
  /** Minimum cosine similarity of a reflection that a run receives. */
  readonly minSimilarity: number;
  /** `github:LOGIN`, `discord:ID` or `api:NAME`. */
  readonly trustedAuthors: readonly string[];
  /** `owner/name`. */
  readonly trustedRepositories: readonly string[];
  /** Ids of the Discord roles that may decide about reflections; empty for none. */
  readonly reviewers: readonly string[];
  readonly feedback: FeedbackConfig;
}

/** How users see telemetry; the `OTEL_*` variables configure where it is sent. */
interface TelemetryConfig {
  /** URL of a trace's page, with `{trace_id}` as the placeholder for its id. */
  readonly traceUrl?: string;
}

/**
 * The whole configuration, validated. Its maps (`roleMap`, `commands`, every `parameters`) have no prototype, so that
 * looking up `constructor` finds nothing.
 */
export interface Config {
  readonly server: ServerConfig;
  readonly discord: DiscordConfig;
  readonly redis: RedisConfig;
  readonly postgres: PostgresConfig;
  readonly argo: ArgoConfig;
  /** Command in lower case -> Discord role ids that may run it; absent or empty means anyone. */
  readonly roleMap: Readonly<Record<string, readonly string[]>>;
  /** By lower-case name: the built-in commands, overridden by the configured ones. */
  readonly commands: Readonly<Record<string, CommandDefinition>>;
  /** Absent when no template may define a command. */
  readonly commandsFromTemplates?: CommandTemplatesConfig;
  readonly consumer: ConsumerConfig;
  readonly codexListener: CodexListenerConfig;
  readonly codex: CodexConfig;
  readonly embeddings?: EmbeddingsConfig;
  readonly knowledge: KnowledgeConfig;
  readonly telemetry: TelemetryConfig;
  /** Runs are recorded and answered, but not submitted. */
  readonly dispatcherDisabled: boolean;
  /** `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`. */
  readonly proxies: EgressProxies;
  /** `FACTEUR_KUBECONFIG`, unchanged. */
  readonly facteurKubeconfig?: string;
  /** `KUBECONFIG`, unchanged: may list several files. */
  readonly kubeconfig?: string;
  /** `FACTEUR_VERSION`; if empty, the build's version applies. */
  readonly version: string;
  /** `FACTEUR_COMMIT`; if empty, the build's commit applies. */
  readonly commit: string;
}

/** The groups with required keys. A command that needs only some of them says so, and finds the others possibly absent. */
export type Requirement = 'discord' | 'redis' | 'postgres' | 'argo';

/** What `serve` and `consume` need. */
export const EVERYTHING: readonly Requirement[] = ['discord', 'redis', 'postgres', 'argo'];

/** The configuration of a command that requires the groups `R`; `Config` itself requires all of them. */
export type ConfigWith<R extends Requirement> = Omit<Config, Exclude<Requirement, R>> &
  Partial<Pick<Config, Exclude<Requirement, R>>>;
