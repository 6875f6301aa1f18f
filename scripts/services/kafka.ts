import { existsSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { isRunning, serverDirectory, startDaemon, type DaemonRecord } from './daemon.ts';
import { clientVariables, ensureBrokerFolder, javaArguments } from './kafka-config.ts';
import { planKafka } from './kafka-container.ts';
import { ensureJava, ensureKafkaJars } from './kafka-jars.ts';
import type { Service, ServiceContext, StartedService } from './service.ts';

/** A single-node Kafka broker with a listener of each kind. */
export const kafka: Service = {
  name: 'kafka',
  variable: 'FACTEUR_TEST_KAFKA_BROKERS',
  start: (context) => startBroker(context, serverDirectory('kafka', undefined)),
  plan: planKafka,
};

/** Starts the broker of a directory: what it stored there, and its ports, are those of last time. */
export async function startBroker(context: ServiceContext, directory: string): Promise<StartedService> {
  ensureJava(context);
  const jars = ensureKafkaJars(context);
  const addresses = await ensureBrokerFolder(directory, jars);
  const log = join(directory, 'log');
  // The line that says it is ready must not be the one of last time.
  rmSync(log, { force: true });
  const daemon = await startDaemon({
    command: 'java',
    args: [...javaArguments(jars, 'kafka.Kafka', '512m'), join(directory, 'server.properties')],
    directory,
    identity: undefined,
    stopSignal: 'SIGTERM',
    ready: async () => assertStarted(log),
  });
  return { value: addresses.PLAIN, also: clientVariables(addresses, join(directory, 'ca.pem')), daemon };
}

/** Ends a broker at once and leaves its files, as a crash would; resolves when it is gone. */
export async function killBroker(daemon: DaemonRecord): Promise<void> {
  process.kill(daemon.pid, 'SIGKILL');
  while (isRunning(daemon)) {
    await sleep(20);
  }
}

function assertStarted(log: string): void {
  if (!existsSync(log) || !readFileSync(log, 'utf8').includes('Kafka Server started')) {
    throw new Error('the broker is not ready yet');
  }
}
