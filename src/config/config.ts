import type { Secret } from '../base/secret.ts';
import type { CommandDefinition } from '../domain/command.ts';

/** Where the HTTP server listens and whom it lets in. */
export interface ServerConfig {
  /** Empty: every interface. IPv6 addresses come without brackets. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** As it was written, for logs: `:8080`. */
  readonly listenAddress: string;
  /** Bearer tokens for `/events` and `/codex/tasks`; none means open. */
  readonly intakeTokens: readonly Secret[];
  /** Bearer tokens for `/v1` and the console; none means loopback peers only. */
  readonly apiTokens: readonly Secret[];
  readonly maxBodyBytes: number;
  /** Where workflows reach facteur; no slash at the end. */
  readonly publicUrl?: string;
}

export interface DiscordConfig {
  readonly botToken: Secret;
  readonly applicationId: string;
  /** 64 lower-case hex digits; absent when none or no valid one is configured. */
  readonly publicKey?: string;
  readonly guildId?: string;
  /** No slash and no version at the end. */
  readonly apiBaseUrl: string;
}

/** `redis://…`, `rediss://…` or `memory://`. */
export interface RedisConfig {
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
  /** The most live workflows of ours at a time. */
  readonly maxActive?: number;
}

export type SaslMechanism = 'plain' | 'scram-sha-256' | 'scram-sha-512';

/** How to reach a Kafka cluster. `tls` and `sasl` are there only when they are enabled. */
export interface KafkaConfig {
  /** `host:port` each. */
  readonly brokers: readonly string[];
  readonly tls?: { readonly insecureSkipVerify: boolean };
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
  /** Tries before a message is dead-lettered. */
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
  readonly parameters: Readonly<Record<string, string>>;
}

/** An OpenAI-compatible embeddings endpoint. */
export interface EmbeddingsConfig {
  readonly url: string;
  readonly model: string;
  readonly apiKey?: Secret;
  readonly dimensions: number;
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
  /** By name in lower case: the built-in commands, with the configured ones laid over them. */
  readonly commands: Readonly<Record<string, CommandDefinition>>;
  readonly consumer: ConsumerConfig;
  readonly codexListener: CodexListenerConfig;
  readonly codex: CodexConfig;
  readonly embeddings?: EmbeddingsConfig;
  /** Runs are recorded and answered, nothing is submitted. */
  readonly dispatcherDisabled: boolean;
  /** `FACTEUR_KUBECONFIG`, as it is. */
  readonly facteurKubeconfig?: string;
  /** `KUBECONFIG`, as it is: may list several files. */
  readonly kubeconfig?: string;
  /** Empty when `FACTEUR_VERSION` is not set: the build's then. */
  readonly version: string;
  /** Empty when `FACTEUR_COMMIT` is not set: the build's then. */
  readonly commit: string;
}

/** The groups with required keys. A command that needs only some of them says so, and finds the others possibly absent. */
export type Requirement = 'discord' | 'redis' | 'postgres' | 'argo';

/** What `serve` and `consume` need. */
export const EVERYTHING: readonly Requirement[] = ['discord', 'redis', 'postgres', 'argo'];

/** The configuration of a command that requires the groups `R`; `Config` itself requires all of them. */
export type ConfigWith<R extends Requirement> = Omit<Config, Exclude<Requirement, R>> &
  Partial<Pick<Config, Exclude<Requirement, R>>>;
