/**
 * Rehearses docs/upgrade.md on real servers: from the Go service to facteur, step by step, and back.
 *
 *   npm run rehearse                                     on PostgreSQL, Redis and Kafka, without a cluster
 *   FACTEUR_TEST_KUBECONFIG=PATH npm run rehearse        with a cluster that has the templates
 *   FACTEUR_REHEARSAL_GO=PATH …                          and with this executable of the Go service, which needs a cluster
 *
 * Prints a line for each step, and exits with 1 at the first one that fails.
 */
import { rehearse } from './rehearsal/rehearse.ts';

function required(name: string): string {
  const value = process.env[name] ?? '';
  if (value === '') {
    throw new Error(`${name} is not set: use "npm run rehearse"`);
  }
  return value;
}

const { FACTEUR_TEST_KUBECONFIG: kubeconfig, FACTEUR_REHEARSAL_GO: goService } = process.env;
try {
  if (goService && !kubeconfig) {
    throw new Error('the Go service does not start without a cluster: set FACTEUR_TEST_KUBECONFIG, too');
  }
  await rehearse({
    dsn: required('FACTEUR_TEST_POSTGRES_DSN'),
    redisUrl: required('FACTEUR_TEST_REDIS_URL'),
    broker: required('FACTEUR_TEST_KAFKA_BROKERS'),
    ...(kubeconfig ? { kubeconfig } : {}),
    ...(goService ? { goService } : {}),
    say: (line) => console.log(line),
  });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
