/** Servers in Docker Compose containers. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { ContainableService, ContainerPlan, Location } from './service.ts';

const FILE = join(import.meta.dirname, 'compose.yaml');

/** Time limit for an answer of the engine, and for a connection to a port, in milliseconds. */
const PATIENCE_MS = 5_000;

/**
 * A Compose project with one container. Each container has its own project, so concurrent runs and other checkouts do not
 * interfere.
 */
export interface ContainerRecord {
  readonly project: string;
  /** Its name in compose.yaml. */
  readonly service: string;
  /** Files that were copied out of the container; removed with it. */
  readonly directory: string;
}

/** A service that runs in a container. */
export interface ContainedService extends Location {
  readonly container: ContainerRecord;
}

/** A container that is not started yet. */
export interface PlannedContainer extends ContainerPlan {
  readonly service: ContainedService;
}

/** Whether containers can be started here. */
export function engineRuns(): boolean {
  return [['info'], ['compose', 'version']].every((args) => ask(args) !== undefined);
}

/** Chooses the location of a service, without starting it. */
export async function planContainer(service: ContainableService, root: string): Promise<PlannedContainer> {
  const project = `facteur-services-${randomBytes(4).toString('hex')}`;
  const directory = join(root, project);
  const plan = await service.plan(directory);
  return { ...plan, service: { ...plan.location, container: { project, service: service.name, directory } } };
}

/**
 * Starts a container and waits until it is healthy.
 *
 * @throws Error if it does not become healthy, or cannot be reached from here
 */
export async function startContainer({ service, environment, ports, copy }: PlannedContainer): Promise<void> {
  const { container } = service;
  if (!compose(container, ['up', '--wait', '--detach', container.service], environment)) {
    compose(container, ['logs', '--tail', '15']);
    throw new Error(`the container for ${container.service} did not become healthy`);
  }
  await Promise.all(ports.map((port) => assertReachable(port)));
  if (copy !== undefined) {
    mkdirSync(container.directory, { recursive: true });
    if (!compose(container, ['cp', `${container.service}:${copy.from}`, copy.to])) {
      throw new Error(`the container for ${container.service} did not give ${copy.from}`);
    }
  }
}

/** Whether the container exists and is healthy. */
export function containerRuns({ project }: ContainerRecord): boolean {
  const label = `label=com.docker.compose.project=${project}`;
  const found = ask(['ps', '--quiet', '--filter', label, '--filter', 'health=healthy']);
  return found !== undefined && found !== '';
}

/**
 * Removes the container, if it exists, and everything that was created for it.
 *
 * @throws Error if the engine fails
 */
export function stopContainer(container: ContainerRecord): void {
  if (!compose(container, ['down', '--volumes'])) {
    throw new Error(`the container for ${container.service} (Compose project ${container.project}) was not removed`);
  }
  rmSync(container.directory, { recursive: true, force: true });
}

/** The engine's output for a command; undefined if it fails or takes too long. */
function ask(args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync('docker', args, {
    stdio: ['ignore', 'pipe', 'ignore'],
    encoding: 'utf8',
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  });
  return status === 0 ? stdout.trim() : undefined;
}

/** Runs a Compose command, shows its output, and returns whether it succeeded. */
function compose(
  container: ContainerRecord,
  args: readonly string[],
  environment?: ContainerPlan['environment'],
): boolean {
  const { status } = spawnSync('docker', ['compose', '-p', container.project, '-f', FILE, ...args], {
    // Standard output has only the variables.
    stdio: ['ignore', process.stderr, process.stderr],
    env: { ...process.env, ...environment },
  });
  return status === 0;
}

/** The engine may be on another machine, or outside the container that this runs in: then its loopback is not ours. */
async function assertReachable(port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ port, host: '127.0.0.1', timeout: PATIENCE_MS });
  socket.once('connect', resolve).once('error', reject);
  socket.once('timeout', () => reject(new Error(`port ${port} does not answer`)));
  try {
    await promise;
  } catch (error) {
    throw new Error(`there is a container, but port ${port} of this machine does not lead to it`, { cause: error });
  } finally {
    socket.destroy();
  }
}
