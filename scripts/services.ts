/**
 * Real servers for the tests that need them.
 *
 *   node scripts/services.ts up            starts what is absent, and prints the variables for a shell to eval
 *   node scripts/services.ts status
 *   node scripts/services.ts down          stops what `up` started
 *   node scripts/services.ts run -- CMD…   starts what is absent, runs the command, stops it again; CMD's exit code
 *
 * A service whose variable is set already is used where it is, and never stopped.
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { stopDaemon } from './services/daemon.ts';
import { kafka } from './services/kafka.ts';
import { postgres } from './services/postgres.ts';
import { redis } from './services/redis.ts';
import type { Service, StartedService } from './services/service.ts';
import { StateDirectory } from './services/state.ts';

const SERVICES: readonly Service[] = [postgres, redis, kafka];
const ROOT = join(import.meta.dirname, '..', '.services');

const state = new StateDirectory(ROOT);

function say(line: string): void {
  console.error(`services: ${line}`);
}

/** Where a service is without our doing anything: named by the environment, or still up from before. */
function present(service: Service): Pick<StartedService, 'value' | 'also'> | undefined {
  const named = process.env[service.variable];
  return named === undefined || named === '' ? state.read('up')[service.name] : { value: named };
}

/** Starts what is absent, and gives all variables. What was started is written down at once, lest it be forgotten. */
async function up(owner: string): Promise<Record<string, string>> {
  const cache = join(ROOT, 'cache');
  mkdirSync(cache, { recursive: true });
  const variables: Record<string, string> = {};
  const started = new Map(Object.entries(state.read(owner)));
  for (const service of SERVICES) {
    let found = present(service);
    if (found === undefined) {
      say(`starting ${service.name}`);
      const fresh = await service.start({ cache, say });
      started.set(service.name, fresh);
      state.write(owner, Object.fromEntries(started));
      found = fresh;
    }
    Object.assign(variables, { [service.variable]: found.value }, found.also);
  }
  return variables;
}

async function down(owner: string): Promise<void> {
  for (const [name, { daemon }] of Object.entries(state.read(owner))) {
    say(`stopping ${name}`);
    await stopDaemon(daemon);
  }
  state.forget(owner);
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

/** What a killed `run` left behind. */
async function sweep(): Promise<void> {
  for (const owner of state.orphans()) {
    await down(owner);
  }
}

try {
  await sweep();
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
