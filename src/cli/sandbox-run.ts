import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorMessage, FacteurError } from '../base/errors.ts';
import { startSimulatedCluster, type SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import { startSimulatedDiscord } from '../../sandbox/discord/discord.ts';
import { PlannedFailures } from '../../sandbox/play/failures.ts';
import type { App } from '../service/app.ts';
import type { Config } from '../config/config.ts';
import type { CliIo } from './io.ts';
import { UsageError } from './program.ts';
import { RELEASE } from './sandbox-approval.ts';
import { NAMESPACE, readOwnConfig, templatesOf, writeSandboxConfig } from './sandbox-config.ts';
import { playLines } from './sandbox-line.ts';
import { ownService, ServiceProcess } from './sandbox-service.ts';
import { apply } from './sandbox-templates.ts';
import { playAll } from './sandbox-stories.ts';
import type { SandboxOptions, World } from './sandbox-world.ts';
import { screenOf } from './screen.ts';
import { runUntilStopped } from './serve.ts';

type StartApp = (config: Config, io: CliIo) => Promise<App>;

/**
 * Starts the simulators and the service, plays the tour, and runs until it is stopped.
 *
 * @throws UsageError for invalid options; FacteurError `sandbox.port` if the port is in use
 */
export async function runSandbox(options: SandboxOptions, io: CliIo, start: StartApp): Promise<void> {
  checkOptions(options);
  const own = options.config === undefined ? undefined : await readOwnConfig(io, options.config);
  await checkPort(Number(options.port));
  io.stdout.write('starting; the embedded PostgreSQL takes a few seconds\n');
  const folder = await mkdtemp(join(tmpdir(), 'facteur-sandbox-'));
  // With limits, registering many commands takes minutes.
  const discord = await startSimulatedDiscord({ enforcesLimits: false });
  let cluster: SimulatedCluster | undefined;
  try {
    const isInteractive = isAttended(options, io);
    // The database must be in a folder to survive a restart of its process.
    const data = options.data ?? (isInteractive ? join(folder, 'data') : undefined);
    const parts = { folder, port: options.port, data, own, discord };
    const { config, env, kubeconfig } = await writeSandboxConfig(io, parts);
    const failures = new PlannedFailures(discord);
    cluster = await startSimulatedCluster({
      namespaces: [config.argo.namespace],
      templates: templatesOf(config),
      defaults: { stepMs: 800 },
      plan: failures.plan,
    });
    await writeFile(kubeconfig, cluster.kubeconfig());
    if (own === undefined) {
      // Before facteur starts, so that it is registered with the first commands.
      await apply(RELEASE, { clusterUrl: cluster.url, namespace: NAMESPACE });
    }
    const sandboxIo = { ...io, env: { ...telemetryVariables(io.env), ...env } };
    const colour = screenOf(io).colour;
    const base = { io, options, own, config, cluster, discord, failures, colour };
    await (isInteractive
      ? attend(base, await startProcess(io, sandboxIo.env, options.port))
      : show({ ...base, service: ownService(await start(config, sandboxIo)) }));
  } finally {
    await Promise.all([cluster?.close(), discord.close()]);
    await rm(folder, { recursive: true, force: true });
  }
}

function checkOptions({ port, exit, interactive }: SandboxOptions): void {
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new UsageError('--port: must be a port from 0 to 65535');
  }
  if (exit === true && interactive === true) {
    throw new UsageError('--interactive: cannot be used with --exit');
  }
}

/** Checks the port before anything starts: the service's own error names a key that the user never set. */
async function checkPort(port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const server = createServer().once('error', reject).listen(port, '127.0.0.1', resolve);
  try {
    await promise;
  } catch (error) {
    const message = `--port: cannot listen on 127.0.0.1:${port}: ${errorMessage(error)}; choose another port, or 0 for a free one`;
    throw new FacteurError('sandbox.port', message, { retryable: false, cause: error });
  } finally {
    server.close();
  }
}

/** Whether a person is at the terminal, or the options say so. */
function isAttended({ exit, interactive }: SandboxOptions, { ask, stdout, env }: CliIo): boolean {
  const isTerminal = ask !== undefined && stdout.isTTY && (env['CI'] ?? '') === '';
  return exit !== true && (interactive ?? isTerminal);
}

/** Plays the tour, then runs until it is stopped. */
async function show(world: World): Promise<void> {
  const { io, options, service } = world;
  const ready = service.ready.then(() => playAll(world));
  const stayUntil = options.exit === true ? AbortSignal.any([io.signal, whenDone(ready)]) : io.signal;
  await runUntilStopped({ ready, consumed: service.failed, close: () => service.close() }, stayUntil);
}

/** Plays the tour, then reads lines from a person until they quit. */
async function attend(base: Omit<World, 'service'>, service: ServiceProcess): Promise<void> {
  const world = { ...base, service };
  const enough = new AbortController();
  const ready = service.ready
    .then(() => playAll(world))
    .then(() => playLines(world, service))
    .then(() => enough.abort());
  const until = AbortSignal.any([base.io.signal, enough.signal]);
  await runUntilStopped({ ready, consumed: service.failed, close: () => service.close() }, until);
}

async function startProcess(io: CliIo, env: CliIo['env'], port: string): Promise<ServiceProcess> {
  const { spawnSelf } = io;
  if (spawnSelf === undefined) {
    throw new UsageError('--interactive: needs a process of its own');
  }
  const set = Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  const spawn = (at: string) => spawnSelf(['serve'], { ...set, FACTEUR_SERVER_LISTEN_ADDRESS: `127.0.0.1:${at}` });
  const service = new ServiceProcess(spawn, port, io.signal);
  try {
    await service.start();
  } catch (error) {
    await service.close();
    throw error;
  }
  return service;
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

/** The only part of the developer's environment that is used. */
function telemetryVariables(env: CliIo['env']): CliIo['env'] {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith('OTEL_')));
}
