import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { serverDirectory, startDaemon } from './daemon.ts';
import { clientVariables, ensureBrokerFolder, javaArguments } from './kafka-config.ts';
import { planKafka } from './kafka-container.ts';
import { ensureJava, ensureKafkaJars } from './kafka-jars.ts';
import type { ContainableService, ServiceContext, StartedService } from './service.ts';

/** A single-node Kafka broker with a listener of each kind. */
export const kafka: ContainableService = {
  name: 'kafka',
  variable: 'FACTEUR_TEST_KAFKA_BROKERS',
  start: (context) => startBroker(context, serverDirectory('kafka', undefined)),
  plan: planKafka,
};

/** Starts the broker of a directory, with the data and ports of its last run. */
export async function startBroker(context: ServiceContext, directory: string): Promise<StartedService> {
  ensureJava(context);
  const jars = ensureKafkaJars(context);
  const addresses = await ensureBrokerFolder(directory, jars);
  const log = join(directory, 'log');
  // Removes the ready line of the last run.
  rmSync(log, { force: true });
  const daemon = await startDaemon({
    command: 'java',
    args: [...javaArguments(jars, 'kafka.Kafka', '512m'), join(directory, 'server.properties')],
    directory,
    identity: undefined,
    stopSignal: 'SIGTERM',
    began: context.began,
    ready: async () => assertStarted(log),
  });
  return { value: addresses.PLAIN, also: clientVariables(addresses, join(directory, 'ca.pem')), daemons: [daemon] };
}

function assertStarted(log: string): void {
  if (!existsSync(log) || !readFileSync(log, 'utf8').includes('Kafka Server started')) {
    throw new Error('the broker is not ready yet');
  }
}
