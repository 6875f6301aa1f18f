/** The test broker in a container: configured and started like the local one, with the tools of its image. */
import { join } from 'node:path';
import { commandLine } from '../deploy/commands.ts';
import {
  brokerProperties,
  clientVariables,
  formatArguments,
  freeAddresses,
  keytoolArguments,
  type Addresses,
} from './kafka-config.ts';
import type { ContainerPlan } from './service.ts';

/** The folder in the container; the health check in compose.yaml uses it too. */
const FOLDER = '/tmp/facteur-kafka';
const PROPERTIES = join(FOLDER, 'server.properties');

/** A broker with the same ports inside and outside, so that it can reach its own advertised addresses. */
export async function planKafka(directory: string): Promise<ContainerPlan> {
  const addresses = await freeAddresses();
  const copy = { from: join(FOLDER, 'ca.pem'), to: join(directory, 'ca.pem') };
  const { CONTROLLER: _inside, ...listeners } = addresses;
  const ports = Object.entries(listeners).map(([name, address]) => [name, address.split(':')[1] ?? ''] as const);
  return {
    location: { value: addresses.PLAIN, also: clientVariables(addresses, copy.to) },
    environment: {
      ...Object.fromEntries(ports.map(([name, port]) => [`FACTEUR_SERVICES_KAFKA_${name}_PORT`, port])),
      FACTEUR_SERVICES_KAFKA_SCRIPT: script(addresses),
    },
    ports: ports.map(([, port]) => Number(port)),
    copy,
  };
}

function script(addresses: Addresses): string {
  return [
    `mkdir ${FOLDER}`,
    `cat >${PROPERTIES} <<'END'\n${brokerProperties(FOLDER, addresses, '0.0.0.0')}END`,
    ...keytoolArguments(FOLDER).map((args) => commandLine('keytool', args)),
    commandLine('/opt/kafka/bin/kafka-storage.sh', formatArguments(FOLDER)),
    // The health check finds the ready line in this log, as on the local broker.
    `exec /opt/kafka/bin/kafka-server-start.sh ${PROPERTIES} > >(tee ${join(FOLDER, 'log')})`,
  ].join('\n');
}
