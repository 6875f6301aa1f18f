/** Configuration of the test broker: one node as broker and controller, with a listener of each kind on loopback. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './daemon.ts';

/** Credentials for loopback tests only. */
export const SASL_USER = 'facteur';
export const SASL_PASSWORD = 'facteur-test-password';

const LOOPBACK = '127.0.0.1';
const LISTENERS = ['PLAIN', 'SASL', 'TLS', 'SASLTLS', 'CONTROLLER'] as const;
type Listener = (typeof LISTENERS)[number];
/** The address of each listener: `127.0.0.1:PORT`. */
export type Addresses = Readonly<Record<Listener, string>>;

const STORE_PASSWORD = 'facteur-test-store';

/** An arbitrary id: each folder has one cluster. */
const CLUSTER_ID = 'ZmFjdGV1ci10ZXN0LWtrYQ';

/** The broker's folder with its configuration, created on the first call; later calls keep the ports. */
export async function ensureBrokerFolder(folder: string, jars: string): Promise<Addresses> {
  const known = join(folder, 'addresses.json');
  if (!existsSync(known)) {
    mkdirSync(folder, { recursive: true });
    const addresses = await freeAddresses();
    for (const args of keytoolArguments(folder)) {
      execFileSync('keytool', args, { stdio: 'pipe' });
    }
    writeFileSync(join(folder, 'server.properties'), brokerProperties(folder, addresses));
    format(folder, jars);
    writeFileSync(known, JSON.stringify(addresses));
  }
  return JSON.parse(readFileSync(known, 'utf8')) as Addresses;
}

/** Arguments for `java` that run a class of the broker. */
export function javaArguments(jars: string, className: string, memory: string): string[] {
  return [
    `-Xmx${memory}`,
    // A test broker lives for minutes: a fast start and low memory matter more than speed.
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    `-Dlog4j2.configurationFile=${join(import.meta.dirname, 'kafka', 'log4j2.properties')}`,
    '-cp',
    join(jars, '*'),
    className,
  ];
}

export async function freeAddresses(): Promise<Addresses> {
  const ports = await Promise.all(LISTENERS.map(() => freePort()));
  return Object.fromEntries(LISTENERS.map((name, index) => [name, `${LOOPBACK}:${ports[index]}`])) as Addresses;
}

/** Variables for broker tests, besides the address of the plain listener. */
export function clientVariables(addresses: Addresses, caFile: string): Record<string, string> {
  return {
    FACTEUR_TEST_KAFKA_SASL_BROKERS: addresses.SASL,
    FACTEUR_TEST_KAFKA_TLS_BROKERS: addresses.TLS,
    FACTEUR_TEST_KAFKA_SASL_TLS_BROKERS: addresses.SASLTLS,
    FACTEUR_TEST_KAFKA_SASL_USERNAME: SASL_USER,
    FACTEUR_TEST_KAFKA_SASL_PASSWORD: SASL_PASSWORD,
    FACTEUR_TEST_KAFKA_CA_FILE: caFile,
  };
}

/** Creates a self-signed certificate for loopback: `broker.p12` for the broker, `ca.pem` for clients. */
export function keytoolArguments(folder: string): string[][] {
  const store = ['-keystore', join(folder, 'broker.p12'), '-storetype', 'PKCS12', '-storepass', STORE_PASSWORD];
  const alias = ['-alias', 'broker'];
  const names = ['-dname', 'CN=localhost', '-ext', `san=ip:${LOOPBACK},dns:localhost`, '-validity', '3650'];
  return [
    ['-genkeypair', ...store, ...alias, '-keyalg', 'EC', ...names],
    ['-exportcert', ...store, ...alias, '-rfc', '-file', join(folder, 'ca.pem')],
  ];
}

/** Arguments to format the broker's data folder, which also stores its user. */
export function formatArguments(folder: string): string[] {
  const scram = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
    '--add-scram',
    `${mechanism}=[name=${SASL_USER},password=${SASL_PASSWORD}]`,
  ]);
  return ['format', '-t', CLUSTER_ID, '-c', join(folder, 'server.properties'), ...scram];
}

function format(folder: string, jars: string): void {
  execFileSync('java', [...javaArguments(jars, 'kafka.tools.StorageTool', '128m'), ...formatArguments(folder)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** @param host the address that client listeners bind to: not loopback in a container, whose ports are published */
export function brokerProperties(folder: string, addresses: Addresses, host = LOOPBACK): string {
  const clientListeners = LISTENERS.filter((name) => name !== 'CONTROLLER');
  const jaas = 'org.apache.kafka.common.security';
  const plainLogin = `${jaas}.plain.PlainLoginModule required user_${SASL_USER}="${SASL_PASSWORD}";`;
  const scramLogin = `${jaas}.scram.ScramLoginModule required;`;
  const settings: Record<string, string | number> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@${addresses.CONTROLLER}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: [
      ...clientListeners.map((name) => `${name}://${addresses[name].replace(LOOPBACK, host)}`),
      `CONTROLLER://${addresses.CONTROLLER}`,
    ].join(','),
    'advertised.listeners': clientListeners.map((name) => `${name}://${addresses[name]}`).join(','),
    'listener.security.protocol.map':
      'PLAIN:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,SASLTLS:SASL_SSL,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'PLAIN',
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.location': join(folder, 'broker.p12'),
    'ssl.keystore.password': STORE_PASSWORD,
    'log.dirs': join(folder, 'data'),
    'auto.create.topics.enable': 'false',
    'num.partitions': 3,
    // A single node keeps one copy of everything, including internal topics.
    'offsets.topic.num.partitions': 4,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.num.partitions': 2,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    // Members of a test's group join one by one; the first should not wait for more.
    'group.initial.rebalance.delay.ms': 0,
  };
  for (const name of ['sasl', 'sasltls']) {
    settings[`listener.name.${name}.plain.sasl.jaas.config`] = plainLogin;
    settings[`listener.name.${name}.scram-sha-256.sasl.jaas.config`] = scramLogin;
    settings[`listener.name.${name}.scram-sha-512.sasl.jaas.config`] = scramLogin;
  }
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
}
