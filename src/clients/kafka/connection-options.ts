import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { MAX_TIMER_MS } from '../../base/timer.ts';
import type { KafkaConfig, SaslMechanism } from '../../config/config.ts';

/** The library's options for connecting to the brokers. */
interface ConnectionSettings {
  readonly clientId: string;
  readonly bootstrapBrokers: string[];
  readonly tls?: ConnectionOptions;
  /** Whether the TLS handshake sends the broker's name. */
  readonly tlsServerName?: boolean;
  readonly sasl?: { mechanism: (typeof MECHANISMS)[SaslMechanism]; username: string; password: string };
}

const MECHANISMS = {
  plain: 'PLAIN',
  'scram-sha-256': 'SCRAM-SHA-256',
  'scram-sha-512': 'SCRAM-SHA-512',
} as const;

/** The name of this process in the brokers' logs and quotas. */
const CLIENT_ID = 'facteur';

/** @param ca the authorities to trust, in place of the machine's own */
export function connectionSettings(config: KafkaConfig, ca?: string): ConnectionSettings {
  return {
    clientId: CLIENT_ID,
    bootstrapBrokers: [...config.brokers],
    ...(config.tls === undefined
      ? {}
      : {
          tls: { rejectUnauthorized: !config.tls.insecureSkipVerify, ...(ca === undefined ? {} : { ca }) },
          tlsServerName: config.brokers.some(hasName),
        }),
    ...(config.sasl === undefined
      ? {}
      : {
          sasl: {
            mechanism: MECHANISMS[config.sasl.mechanism],
            username: config.sasl.username,
            password: config.sasl.password.reveal(),
          },
        }),
  };
}

/** TLS sends only names: an address must not be sent as one. */
function hasName(broker: string): boolean {
  return isIP(broker.slice(0, broker.lastIndexOf(':')).replaceAll(/^\[|\]$/g, '')) === 0;
}

/** Time on top of a request's own wait, in milliseconds: the broker holds a fetch or a join back on purpose. */
export const REQUEST_TIMEOUT_MARGIN_MS = 10_000;

/** The timeout of a fetch that waits this long for records. */
export function fetchTimeoutMs(maxWaitMs: number): number {
  return Math.min(maxWaitMs + REQUEST_TIMEOUT_MARGIN_MS, MAX_TIMER_MS);
}
