import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSimulatedCluster, type SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import { startSimulatedDiscord, type SimulatedDiscord } from '../../sandbox/discord/discord.ts';
import { Timeline } from '../../sandbox/timeline.ts';
import type { App } from '../service/app.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { CliIo } from './io.ts';
import { UsageError } from './program.ts';
import { LEARNING_COMMAND, playLearning, SANDBOX_HOLDOUT } from './sandbox-learning.ts';
import { playTemplates } from './sandbox-templates.ts';
import { playTour } from './sandbox-tour.ts';
import { runUntilStopped } from './serve.ts';

/** Options of `facteur sandbox`. */
export interface SandboxOptions {
  readonly data?: string;
  readonly port: string;
  readonly exit?: boolean;
}

const NAMESPACE = 'argo';
const TEMPLATES = ['facteur-dispatch', 'github-codex-implementation', 'codex-autonomous'];

/**
 * Starts the simulators and the service, plays the tour, and runs until it is stopped.
 *
 * @throws UsageError for an invalid port
 */
export async function runSandbox(
  options: SandboxOptions,
  io: CliIo,
  start: (config: Config, io: CliIo) => Promise<App>,
): Promise<void> {
  if (!/^\d{1,5}$/.test(options.port) || Number(options.port) > 65_535) {
    throw new UsageError('--port: must be a port from 0 to 65535');
  }
  io.stdout.write('starting; the embedded PostgreSQL takes a few seconds\n');
  const cluster = await startSimulatedCluster({
    namespaces: [NAMESPACE],
    templates: TEMPLATES.map((name) => ({ namespace: NAMESPACE, name })),
    defaults: { stepMs: 800 },
  });
  const discord = await startSimulatedDiscord();
  const folder = await mkdtemp(join(tmpdir(), 'facteur-sandbox-'));
  try {
    const kubeconfig = join(folder, 'kubeconfig.yaml');
    await writeFile(kubeconfig, cluster.kubeconfig());
    const env = { ...telemetryVariables(io.env), ...(await sandboxEnvironment(options, kubeconfig, discord)) };
    const { config } = await loadConfig({ env, readFile: async (path) => (await io.readFile(path)).toString() });
    const app = await start(config, { ...io, env });
    const ready = app.ready.then(() => tour({ app, cluster, discord }, options, io));
    const stayUntil = options.exit === true ? AbortSignal.any([io.signal, whenDone(ready)]) : io.signal;
    await runUntilStopped({ ready, consumed: app.consumed, close: () => app.close() }, stayUntil);
  } finally {
    await Promise.all([cluster.close(), discord.close()]);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Aborts when the promise resolves; a rejection is handled elsewhere. */
function whenDone(promise: Promise<void>): AbortSignal {
  const done = new AbortController();
  promise.then(
    () => done.abort(),
    () => undefined,
  );
  return done.signal;
}

/** The parts of the sandbox. */
interface World {
  readonly app: App;
  readonly cluster: SimulatedCluster;
  readonly discord: SimulatedDiscord;
}

async function tour({ app, cluster, discord }: World, options: SandboxOptions, io: CliIo): Promise<void> {
  const url = `http://127.0.0.1:${app.address.port}`;
  const colour = io.stdout.isTTY && (io.env['NO_COLOR'] ?? '') === '';
  const timeline = new Timeline(
    (text) => io.stdout.write(text),
    () => performance.now(),
    colour,
  );
  timeline.note(`\nfacteur sandbox: everything runs on this machine

  facteur   ${url}
  cluster   simulated, ${cluster.url}
  Discord   simulated, ${discord.apiBaseUrl}
  database  embedded PostgreSQL, ${options.data === undefined ? 'in memory' : `kept in ${options.data}`}`);
  const workflowsNamed = (name: string): number =>
    cluster.history.entries.filter((entry) => entry.kind === 'create' && entry.name === name).length;
  await playTour({ app, url, timeline, discord, workflowsNamed });
  const findRun = (reference: string): ReturnType<App['findRun']> => app.findRun(reference);
  await playTemplates({ url, clusterUrl: cluster.url, namespace: NAMESPACE, timeline, discord, findRun });
  const parametersOf = (name: string): Readonly<Record<string, string>> =>
    namedValues(cluster.store.get('workflows', NAMESPACE, name).object.spec['arguments']);
  await playLearning({ app, url, timeline, parametersOf });
  timeline.note(options.exit === true ? '\nAll of it worked.' : farewell(url, discord.apiBaseUrl));
}

/** The parameters of a workflow in the store of the simulated cluster. */
function namedValues(given: unknown): Readonly<Record<string, string>> {
  const { parameters = [] } = (given ?? {}) as {
    readonly parameters?: readonly { readonly name: string; readonly value: string }[];
  };
  return Object.fromEntries(parameters.map(({ name, value }) => [name, value]));
}

function farewell(url: string, discordUrl: string): string {
  return `
All of it worked. facteur keeps running; press Ctrl-C to stop it.

  curl ${url}/readyz
  curl ${url}/events -H 'content-type: application/json' -d '{"command":"plan","options":{"objective":"Try it"}}'
  npm run facteur -- send codex-task examples/codex-task.json --url ${url}
  npm run facteur -- send command plan --option objective="Try it" --discord ${discordUrl}`;
}

/** Nothing else of the developer's environment is used. */
function telemetryVariables(env: CliIo['env']): CliIo['env'] {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith('OTEL_')));
}

/** The configuration an operator would write, as environment variables. */
async function sandboxEnvironment(
  options: SandboxOptions,
  kubeconfig: string,
  discord: SimulatedDiscord,
): Promise<Record<string, string>> {
  if (options.data !== undefined) {
    await mkdir(options.data, { recursive: true });
  }
  return {
    FACTEUR_KUBECONFIG: kubeconfig,
    FACTEUR_SERVER_LISTEN_ADDRESS: `127.0.0.1:${options.port}`,
    FACTEUR_POSTGRES_DSN: `pglite:${options.data === undefined ? 'memory' : join(options.data, 'postgres')}`,
    FACTEUR_REDIS_URL: 'memory://',
    FACTEUR_DISCORD_BOT_TOKEN: discord.botToken,
    FACTEUR_DISCORD_APPLICATION_ID: discord.applicationId,
    FACTEUR_DISCORD_PUBLIC_KEY: discord.publicKey,
    FACTEUR_DISCORD_GUILD_ID: discord.guildId,
    FACTEUR_DISCORD_API_BASE_URL: discord.apiBaseUrl,
    FACTEUR_DISCORD_REGISTER_COMMANDS: 'true',
    FACTEUR_ARGO_NAMESPACE: NAMESPACE,
    FACTEUR_COMMANDS_FROM_TEMPLATES_NAMESPACES: NAMESPACE,
    FACTEUR_ARGO_WORKFLOW_TEMPLATE: 'facteur-dispatch',
    FACTEUR_SERVER_PUBLIC_URL: `http://127.0.0.1:${options.port}`,
    FACTEUR_SERVER_RUN_TOKEN_KEYS: JSON.stringify([{ id: 'sandbox', secret: randomBytes(32).toString('hex') }]),
    FACTEUR_COMMANDS: JSON.stringify(LEARNING_COMMAND),
    FACTEUR_KNOWLEDGE_ENABLED: 'true',
    FACTEUR_KNOWLEDGE_HOLDOUT: String(SANDBOX_HOLDOUT),
    FACTEUR_CODEX_IMPLEMENTATION_ORCHESTRATOR_ENABLED: 'true',
    FACTEUR_CODEX_IMPLEMENTATION_ORCHESTRATOR_WORKFLOW_TEMPLATE: 'github-codex-implementation',
  };
}
