/** Servers in containers, by Docker Compose. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { ContainableService, ContainerPlan, Location } from './service.ts';

const FILE = join(import.meta.dirname, 'compose.yaml');

/** How long an engine may take to say that it is there, and a port to be connected to, in milliseconds. */
const PATIENCE_MS = 5_000;

/** A Compose project with one container: a project each, so that runs side by side and other checkouts never meet. */
export interface ContainerRecord {
  readonly project: string;
  /** Its name in compose.yaml. */
  readonly service: string;
  /** Files copied out of it, removed with it. */
  readonly directory: string;
}

/** A service that runs in a container. */
export interface ContainedService extends Location {
  readonly container: ContainerRecord;
}

/** A container that is yet to be started. */
export interface PlannedContainer extends ContainerPlan {
  readonly service: ContainedService;
}

/** Whether containers can be started here. */
export function engineRuns(): boolean {
  return [['info'], ['compose', 'version']].every((args) => ask(args) !== undefined);
}

/** Chooses where a service will be, and starts nothing yet. */
export async function planContainer(service: ContainableService, root: string): Promise<PlannedContainer> {
  const project = `facteur-services-${randomBytes(4).toString('hex')}`;
  const directory = join(root, project);
  const plan = await service.plan(directory);
  return { ...plan, service: { ...plan.location, container: { project, service: service.name, directory } } };
}

/**
 * Starts a container and waits until it is healthy.
 *
 * @throws Error when it is not, or when it cannot be reached from here
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

/** Whether the container is there and healthy. */
export function containerRuns({ project }: ContainerRecord): boolean {
  const label = `label=com.docker.compose.project=${project}`;
  const found = ask(['ps', '--quiet', '--filter', label, '--filter', 'health=healthy']);
  return found !== undefined && found !== '';
}

/**
 * Removes the container, if it is there, and all that was made for it.
 *
 * @throws Error when the engine did not do it
 */
export function stopContainer(container: ContainerRecord): void {
  if (!compose(container, ['down', '--volumes'])) {
    throw new Error(`the container for ${container.service} (Compose project ${container.project}) was not removed`);
  }
  rmSync(container.directory, { recursive: true, force: true });
}

/** What a question to the engine is answered with; undefined when it fails or takes too long. */
function ask(args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync('docker', args, {
    stdio: ['ignore', 'pipe', 'ignore'],
    encoding: 'utf8',
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  });
  return status === 0 ? stdout.trim() : undefined;
}

/** Runs a command of Compose, showing what it says, and tells whether it succeeded. */
function compose(
  container: ContainerRecord,
  args: readonly string[],
  environment?: ContainerPlan['environment'],
): boolean {
  const { status } = spawnSync('docker', ['compose', '-p', container.project, '-f', FILE, ...args], {
    // Standard output is for the variables.
    stdio: ['ignore', process.stderr, process.stderr],
    env: { ...process.env, ...environment },
  });
  return status === 0;
}

/** The engine may be on another machine, or be shared with the container that this runs in: its loopback is not ours. */
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
