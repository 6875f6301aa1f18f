/**
 * Real servers for the tests that need them.
 *
 *   node scripts/services.ts up            starts what is absent, and prints the variables for a shell to eval
 *   node scripts/services.ts status
 *   node scripts/services.ts down          stops what `up` started
 *   node scripts/services.ts run -- CMD…   starts what is absent, runs the command, stops it again; CMD's exit code
 *
 * A service whose variable is set already is used where it is, and never stopped. The others are containers of Docker
 * Compose where an engine runs, unless FACTEUR_SERVICES is `local`; else they are installed and started on this machine.
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { kafka } from './services/kafka.ts';
import { Starter, stopService } from './services/lifecycle.ts';
import { postgres } from './services/postgres.ts';
import { redis } from './services/redis.ts';
import type { Location, Service } from './services/service.ts';
import { type RememberedService, StateDirectory } from './services/state.ts';

const SERVICES: readonly Service[] = [postgres, redis, kafka];
const ROOT = join(import.meta.dirname, '..', '.services');

const state = new StateDirectory(ROOT);

function say(line: string): void {
  console.error(`services: ${line}`);
}

/** Where a service is without our doing anything: named by the environment, or still up from before. */
function present(service: Service): Location | undefined {
  const named = process.env[service.variable];
  return named === undefined || named === '' ? state.find('up', service.name) : { value: named };
}

/** Starts what is absent, and gives all variables. What was started is written down at once, lest it be forgotten. */
async function up(owner: string): Promise<Record<string, string>> {
  mkdirSync(join(ROOT, 'cache'), { recursive: true });
  const variables: Record<string, string> = {};
  const starter = new Starter({ root: ROOT, say, containers: process.env['FACTEUR_SERVICES'] !== 'local' });
  const started = new Map(Object.entries(state.read(owner)));
  for (const service of SERVICES) {
    const found = present(service) ?? (await replace(service));
    Object.assign(variables, { [service.variable]: found.value }, found.also);
  }
  return variables;

  /** Starts a service, and clears away what is left of the one before. */
  async function replace(service: Service): Promise<Location> {
    const dead = started.get(service.name);
    if (dead !== undefined && !(await stops(service.name, dead))) {
      // It stays on the list, for `down`, by a name that nobody looks for.
      started.set(`${service.name} of before ${new Date().toISOString()}`, dead);
    }
    return starter.start(service, (fresh) => {
      started.set(service.name, fresh);
      state.write(owner, Object.fromEntries(started));
    });
  }
}

async function down(owner: string): Promise<void> {
  const left: Record<string, RememberedService> = {};
  for (const [name, service] of Object.entries(state.read(owner))) {
    if (!(await stops(name, service))) {
      left[name] = service;
    }
  }
  if (Object.keys(left).length > 0) {
    state.write(owner, left);
    throw new Error(`not stopped: ${Object.keys(left).join(', ')}; the next time tries again, as ${ROOT} has it`);
  }
  state.forget(owner);
}

/** Whether a service could be stopped: one in a container cannot when its engine is gone meanwhile. */
async function stops(name: string, service: RememberedService): Promise<boolean> {
  say(`stopping ${name}`);
  try {
    await stopService(service);
    return true;
  } catch (error) {
    complain(error);
    return false;
  }
}

async function run(command: string, args: readonly string[]): Promise<number> {
  const owner = `run-${process.pid}`;
  try {
    const variables = await up(owner);
    return await execute(command, args, variables);
  } finally {
    await down(owner);
  }
}

/** Runs a command with our terminal; signals go to it, so that we are still there to clean up after it. */
async function execute(command: string, args: readonly string[], variables: Record<string, string>): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  // Before the command can do anything that somebody might answer with a signal.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => child.kill(signal));
  }
  const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...variables } });
  child.once('error', reject);
  child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']));
  return promise;
}

async function printVariables(): Promise<void> {
  for (const [variable, value] of Object.entries(await up('up'))) {
    console.log(`export ${variable}='${value}'`);
  }
}

function printStatus(): void {
  for (const service of SERVICES) {
    console.log(`${service.name}: ${present(service)?.value ?? 'not running'}`);
  }
}

async function main([verb, separator, command, ...args]: readonly string[]): Promise<number> {
  if (verb === 'run' && separator === '--' && command !== undefined) {
    return run(command, args);
  }
  const plain = new Map<string, () => Promise<void> | void>([
    ['up', printVariables],
    ['down', () => down('up')],
    ['status', printStatus],
  ]).get(verb ?? '');
  if (plain === undefined || separator !== undefined) {
    say('usage: node scripts/services.ts up | down | status | run -- COMMAND…');
    return 2;
  }
  await plain();
  return 0;
}

/** Stops what a killed `run` left behind; what cannot be stopped keeps nobody from going on. */
async function sweep(): Promise<void> {
  for (const owner of state.orphans()) {
    await down(owner).catch(complain);
  }
}

function complain(error: unknown): void {
  say(error instanceof Error ? error.message : String(error));
}

try {
  await sweep();
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  complain(error);
  process.exitCode = 1;
}
