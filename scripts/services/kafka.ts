/**
 * A single-node Kafka broker for tests, started and stopped by us.
 *
 * `node scripts/services/kafka.ts up|down|status [FOLDER]` does by hand what `scripts/services.ts` does for all services.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureBrokerFolder, javaArguments, SASL_PASSWORD, SASL_USER, type Addresses } from './kafka-config.ts';
import { ensureJava, ensureKafkaJars } from './kafka-jars.ts';

/** Where services keep what they fetch and what they store. */
const CACHE = join(import.meta.dirname, '..', '..', '.services');

const START_TIMEOUT_MS = 90_000;
const STOP_TIMEOUT_MS = 20_000;
const POLL_MS = 100;

/** Variables that tell a test how to reach the broker. */
export type KafkaEnvironment = Readonly<Record<string, string>>;

export interface KafkaStatus {
  readonly running: boolean;
  readonly environment: KafkaEnvironment;
}

/** Starts the broker of `folder`, or finds it running; what it stored, and its ports, are those of last time. */
export async function kafkaUp(folder: string): Promise<KafkaEnvironment> {
  const at = resolve(folder);
  mkdirSync(CACHE, { recursive: true });
  ensureJava();
  const jars = ensureKafkaJars(CACHE);
  const addresses = await ensureBrokerFolder(at, jars);
  if (runningPid(at) === undefined) {
    await start(at, jars);
  }
  return environment(at, addresses);
}

/** Stops the broker of `folder` and waits for its end. Its data stay. */
export async function kafkaDown(folder: string): Promise<void> {
  await end(resolve(folder), 'SIGTERM');
}

/** Ends the broker at once, as a crash of its machine would. */
export async function kafkaKill(folder: string): Promise<void> {
  await end(resolve(folder), 'SIGKILL');
}

export function kafkaStatus(folder: string): KafkaStatus {
  const at = resolve(folder);
  const known = join(at, 'addresses.json');
  if (runningPid(at) === undefined || !existsSync(known)) {
    return { running: false, environment: {} };
  }
  return { running: true, environment: environment(at, JSON.parse(readFileSync(known, 'utf8')) as Addresses) };
}

async function start(folder: string, jars: string): Promise<void> {
  const log = join(folder, 'broker.log');
  const output = openSync(log, 'w');
  const child = spawn('java', [...javaArguments(jars, 'kafka.Kafka', '512m'), join(folder, 'server.properties')], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  const { pid } = child;
  if (pid === undefined) {
    throw new Error('java could not be started');
  }
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  child.unref();
  writeFileSync(pidFile(folder), String(pid));
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!readFileSync(log, 'utf8').includes('Kafka Server started')) {
    if (ended || performance.now() > deadline) {
      await end(folder, 'SIGKILL');
      throw new Error(`the Kafka broker did not start; the end of ${log}:\n${lastLines(log)}`);
    }
    await sleep(POLL_MS);
  }
}

async function end(folder: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const pid = runningPid(folder);
  if (pid !== undefined) {
    process.kill(pid, signal);
    const deadline = performance.now() + STOP_TIMEOUT_MS;
    while (runningPid(folder) !== undefined) {
      if (performance.now() > deadline) {
        process.kill(pid, 'SIGKILL');
      }
      await sleep(POLL_MS);
    }
  }
  rmSync(pidFile(folder), { force: true });
}

/** The broker's process, when it lives and is really ours: after a crash somebody else may have its number. */
function runningPid(folder: string): number | undefined {
  if (!existsSync(pidFile(folder))) {
    return undefined;
  }
  const pid = Number(readFileSync(pidFile(folder), 'utf8'));
  try {
    process.kill(pid, 0);
  } catch {
    return undefined;
  }
  const commandLine = `/proc/${pid}/cmdline`;
  const ours = !existsSync('/proc') || (existsSync(commandLine) && readFileSync(commandLine, 'utf8').includes(folder));
  return ours ? pid : undefined;
}

function environment(folder: string, addresses: Addresses): KafkaEnvironment {
  return {
    FACTEUR_TEST_KAFKA_BROKERS: addresses.PLAIN,
    FACTEUR_TEST_KAFKA_SASL_BROKERS: addresses.SASL,
    FACTEUR_TEST_KAFKA_TLS_BROKERS: addresses.TLS,
    FACTEUR_TEST_KAFKA_SASL_TLS_BROKERS: addresses.SASLTLS,
    FACTEUR_TEST_KAFKA_SASL_USERNAME: SASL_USER,
    FACTEUR_TEST_KAFKA_SASL_PASSWORD: SASL_PASSWORD,
    FACTEUR_TEST_KAFKA_CA_FILE: join(folder, 'ca.pem'),
  };
}

function pidFile(folder: string): string {
  return join(folder, 'broker.pid');
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-20).join('\n');
}

async function main(): Promise<void> {
  const [action, folder = join(CACHE, 'kafka')] = process.argv.slice(2);
  if (action === 'down') {
    await kafkaDown(folder);
    return;
  }
  if (action !== 'up' && action !== 'status') {
    console.error('usage: kafka.ts up|down|status [FOLDER]');
    process.exitCode = 2;
    return;
  }
  const variables = action === 'up' ? await kafkaUp(folder) : kafkaStatus(folder).environment;
  for (const [name, value] of Object.entries(variables)) {
    console.log(`${name}=${value}`);
  }
}

if (import.meta.main) {
  await main();
}
