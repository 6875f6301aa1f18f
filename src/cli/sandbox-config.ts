import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument, stringify, visit } from 'yaml';
import type { SimulatedDiscord } from '../../sandbox/discord/discord.ts';
import { TEAM_ROLE } from '../../sandbox/play/cast.ts';
import { errorMessage, FacteurError } from '../base/errors.ts';
import { isRecord } from '../base/json.ts';
import { makeDirectory } from '../base/make-directory.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { keysInAnyCase } from '../config/reader.ts';
import type { CliIo } from './io.ts';
import { readConfig } from './read-config.ts';
import { LEARNING_COMMAND, SANDBOX_HOLDOUT } from './sandbox-learning.ts';

/** The namespace of the sandbox's own templates. */
export const NAMESPACE = 'argo';

/** The sections that a user's own file may set. The sandbox sets all others: database, cluster, Discord, doors. */
const TAKEN = [
  'role_map',
  'commands',
  'commands_from_templates',
  'argo',
  'codex_implementation_orchestrator',
  'knowledge',
];

/** The parts of a user's own configuration that the sandbox uses. */
export interface OwnConfig {
  readonly path: string;
  readonly sections: Readonly<Record<string, unknown>>;
  /** The sections that the sandbox ignores, because it sets them itself. */
  readonly ignored: readonly string[];
}

/** Reads and validates a user's configuration file. @throws ConfigError with every error in it */
export async function readOwnConfig(io: CliIo, path: string): Promise<OwnConfig> {
  // The developer's environment may configure another facteur.
  await readConfig({ ...io, env: {} }, { path, require: [], reads: () => true });
  const content = asWritten((await io.readFile(path)).toString('utf8'));
  const entries = Object.entries(withKeys(content));
  return {
    path,
    sections: Object.fromEntries(entries.filter(([name]) => TAKEN.includes(name))),
    ignored: entries.flatMap(([name]) => (TAKEN.includes(name) ? [] : [name])),
  };
}

/** The group with lower-case keys, one of each name. */
function withKeys(group: unknown): Record<string, unknown> {
  const entries = isRecord(group) ? group : {};
  return Object.fromEntries([...keysInAnyCase(Object.keys(entries))].map(([key, written]) => [key, entries[written]]));
}

/** Parses YAML with numbers and booleans as text, like the configuration: an id, `1.10`, `012`. */
function asWritten(text: string): unknown {
  const document = parseDocument(text, { merge: true });
  visit(document, {
    Scalar: (_key, node) => {
      if (typeof node.value !== 'string' && node.value !== null) {
        node.value = node.source ?? node.value;
      }
    },
  });
  return document.toJS();
}

/** What the sandbox's configuration depends on. */
interface SandboxParts {
  /** For files of this run. */
  readonly folder: string;
  readonly port: string;
  /** The database's directory; in memory if undefined. */
  readonly data: string | undefined;
  readonly own: OwnConfig | undefined;
  readonly discord: SimulatedDiscord;
}

interface SandboxConfig {
  readonly config: Config;
  /** An environment that gives facteur exactly this configuration. */
  readonly env: Readonly<Record<string, string>>;
  /** Where the kubeconfig is expected. */
  readonly kubeconfig: string;
}

/** Writes the configuration as an operator would: a file for the sections that users may set, and the environment. */
export async function writeSandboxConfig(io: CliIo, parts: SandboxParts): Promise<SandboxConfig> {
  const file = join(parts.folder, 'facteur.yaml');
  const kubeconfig = join(parts.folder, 'kubeconfig.yaml');
  if (parts.data !== undefined) {
    await makeDataDirectory(parts.data);
  }
  await writeFile(file, stringify(sections(parts.own?.sections ?? { commands: LEARNING_COMMAND })));
  const env = { ...environment(parts, kubeconfig), FACTEUR_CONFIG_FILE: file };
  const readFile = async (path: string): Promise<string> => (await io.readFile(path)).toString('utf8');
  return { config: (await loadConfig({ env, readFile })).config, env, kubeconfig };
}

async function makeDataDirectory(path: string): Promise<void> {
  try {
    await makeDirectory(path);
  } catch (error) {
    throw new FacteurError('sandbox.data', `--data: cannot make the directory ${path}: ${errorMessage(error)}`, {
      retryable: false,
      cause: error,
    });
  }
}

function sections(own: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const [argo, templates, codex, knowledge] = [
    'argo',
    'commands_from_templates',
    'codex_implementation_orchestrator',
    'knowledge',
  ].map((name) => withKeys(own[name]));
  return {
    ...own,
    argo: { namespace: NAMESPACE, workflow_template: 'facteur-dispatch', ...argo },
    commands_from_templates: { namespaces: [NAMESPACE], ...templates },
    codex_implementation_orchestrator: {
      enabled: true,
      workflow_template: 'github-codex-implementation',
      ...codex,
    },
    knowledge: { enabled: true, holdout: SANDBOX_HOLDOUT, ...knowledge },
  };
}

function environment({ port, data, discord }: SandboxParts, kubeconfig: string): Readonly<Record<string, string>> {
  return {
    FACTEUR_KUBECONFIG: kubeconfig,
    FACTEUR_SERVER_LISTEN_ADDRESS: `127.0.0.1:${port}`,
    FACTEUR_SERVER_PUBLIC_URL: `http://127.0.0.1:${port}`,
    FACTEUR_SERVER_RUN_TOKEN_KEYS: JSON.stringify([{ id: 'sandbox', secret: randomBytes(32).toString('hex') }]),
    FACTEUR_POSTGRES_DSN: `pglite:${data === undefined ? 'memory' : join(data, 'postgres')}`,
    FACTEUR_REDIS_URL: 'memory://',
    FACTEUR_DISCORD_BOT_TOKEN: discord.botToken,
    FACTEUR_DISCORD_APPLICATION_ID: discord.applicationId,
    FACTEUR_DISCORD_PUBLIC_KEY: discord.publicKey,
    FACTEUR_DISCORD_GUILD_ID: discord.guildId,
    FACTEUR_DISCORD_API_BASE_URL: discord.apiBaseUrl,
    FACTEUR_DISCORD_REGISTER_COMMANDS: 'true',
  };
}

/** The WorkflowTemplates that the configuration names, for the simulated cluster. */
export function templatesOf({
  argo,
  commands,
  codex,
}: Config): readonly { readonly namespace: string; readonly name: string }[] {
  const named = [
    argo,
    ...Object.values(commands),
    codex,
    { namespace: codex.autonomousNamespace, workflowTemplate: codex.autonomousWorkflowTemplate },
  ].map(
    ({ namespace = argo.namespace, workflowTemplate = argo.workflowTemplate }) => `${namespace}/${workflowTemplate}`,
  );
  return [...new Set(named)].map((path) => {
    const [namespace = '', name = ''] = path.split('/');
    return { namespace, name };
  });
}

/** Every role that the configuration or the tour's templates name. */
export function rolesOf({ roleMap, commandsFromTemplates, knowledge }: Config): readonly string[] {
  const ids = [
    ...Object.values(roleMap).flat(),
    ...(commandsFromTemplates?.defaultRoles ?? []),
    ...knowledge.reviewers,
    TEAM_ROLE,
  ];
  return [...new Set(ids.filter((id) => /^\d+$/.test(id)))];
}
