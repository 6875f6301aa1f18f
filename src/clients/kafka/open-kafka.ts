import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { errorMessage } from '../../base/errors.ts';
import type { KafkaClient, KafkaOptions } from './client.ts';
import { KafkaError } from './errors.ts';

/**
 * A client for the configured brokers. Loads the library, which takes half a second, so call it only if Kafka is
 * needed.
 *
 * @throws KafkaError `kafka.tls` if the file of trusted authorities is invalid
 */
export async function openKafka({ config, group, random }: KafkaOptions): Promise<KafkaClient> {
  const ca =
    config.tls?.caFile === undefined ? undefined : await readAuthorities(config.tls.caFile, `${group}.tls.ca_file`);
  const { createKafkaClient } = await import('./platformatic.ts');
  return createKafkaClient({ config, group, random, ca });
}

async function readAuthorities(file: string, key: string): Promise<string> {
  try {
    const pem = await readFile(file, 'utf8');
    firstCertificate(pem);
    return pem;
  } catch (error) {
    throw new KafkaError('kafka.tls', `cannot use ${key} ${file}: ${errorMessage(error)}`, error);
  }
}

/** Throws if there is none: Node would then silently trust no authority. */
function firstCertificate(pem: string): X509Certificate {
  return new X509Certificate(pem);
}
