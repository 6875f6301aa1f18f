import { errorMessage, FacteurError } from '../../base/errors.ts';

/**
 * - `kafka.unavailable`: no broker answers, or not properly; try again
 * - `kafka.authentication`: the credentials, or the mechanism, are refused
 * - `kafka.tls`: no TLS connection, or a certificate that is not trusted
 * - `kafka.topic`: there is no such topic (yet)
 * - `kafka.group`: the group's other members do not get along with us (yet)
 * - `kafka.denied`: the user may not do this
 * - `kafka.rejected`: the broker will never take this record
 * - `kafka.unreadable`: records of the log are damaged, or grow too large when they are decompressed
 */
export type KafkaErrorCode =
  | 'kafka.unavailable'
  | 'kafka.authentication'
  | 'kafka.tls'
  | 'kafka.topic'
  | 'kafka.group'
  | 'kafka.denied'
  | 'kafka.rejected'
  | 'kafka.unreadable';

const HINTS: Readonly<Record<KafkaErrorCode, string>> = {
  'kafka.unavailable': 'kafka is not available',
  'kafka.authentication': 'kafka rejected the credentials; check sasl.mechanism, sasl.username and sasl.password',
  'kafka.tls': 'no trusted TLS connection to kafka; check tls.enabled, the port and the certificate',
  'kafka.topic': 'unknown kafka topic',
  'kafka.group': 'the consumer group has members with another protocol',
  'kafka.denied': 'kafka denied permission',
  'kafka.rejected': 'kafka rejected the record',
  'kafka.unreadable': 'kafka has records that cannot be read',
};

/** Errors that only a change of the configuration or of the record can fix. */
const PERMANENT: ReadonlySet<KafkaErrorCode> = new Set([
  'kafka.authentication',
  'kafka.tls',
  'kafka.denied',
  'kafka.rejected',
  'kafka.unreadable',
]);

/** A failure of Kafka. The message is one line and contains no secret. */
export class KafkaError extends FacteurError {
  declare readonly code: KafkaErrorCode;

  constructor(code: KafkaErrorCode, message: string, cause?: unknown) {
    super(code, message, { retryable: !PERMANENT.has(code), ...(cause === undefined ? {} : { cause }) });
  }
}

/** Protocol error names by their meaning for us. Any other name is a transient error. */
const PROTOCOL_ERRORS: Readonly<Record<string, KafkaErrorCode>> = {
  SASL_AUTHENTICATION_FAILED: 'kafka.authentication',
  UNSUPPORTED_SASL_MECHANISM: 'kafka.authentication',
  ILLEGAL_SASL_STATE: 'kafka.authentication',
  TOPIC_AUTHORIZATION_FAILED: 'kafka.denied',
  GROUP_AUTHORIZATION_FAILED: 'kafka.denied',
  CLUSTER_AUTHORIZATION_FAILED: 'kafka.denied',
  UNKNOWN_TOPIC_OR_PARTITION: 'kafka.topic',
  UNKNOWN_TOPIC_ID: 'kafka.topic',
  INVALID_TOPIC_EXCEPTION: 'kafka.topic',
  INCONSISTENT_GROUP_PROTOCOL: 'kafka.group',
  MESSAGE_TOO_LARGE: 'kafka.rejected',
  RECORD_LIST_TOO_LARGE: 'kafka.rejected',
  INVALID_RECORD: 'kafka.rejected',
  POLICY_VIOLATION: 'kafka.rejected',
};

/** Node's codes for TLS: those with this prefix, and those for certificate errors. */
const TLS_CODE =
  /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_(VERIFY|GET)|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|HOSTNAME_MISMATCH)/;

/** Maps an error of the client library by its meaning. The library nests errors; the innermost ones say what happened. */
export function toKafkaError(error: unknown): KafkaError {
  if (error instanceof KafkaError) {
    return error;
  }
  const causes = innermost(error);
  const code = causes.map(codeOf).find((found) => found !== undefined) ?? 'kafka.unavailable';
  const said = [...new Set(causes.map(errorMessage))].join('; ');
  return new KafkaError(code, `${HINTS[code]}: ${said}`, error);
}

function codeOf(error: unknown): KafkaErrorCode | undefined {
  const { code, apiId, message } = error as { code?: unknown; apiId?: unknown; message?: unknown };
  if (typeof apiId === 'string') {
    return PROTOCOL_ERRORS[apiId];
  }
  if (code === 'PLT_KFK_AUTHENTICATION') {
    return 'kafka.authentication';
  }
  // The library keeps only its own text of this response.
  if (code === 'PLT_KFK_USER' && typeof message === 'string' && message.startsWith('Unknown topic ')) {
    return 'kafka.topic';
  }
  return typeof code === 'string' && TLS_CODE.test(code) ? 'kafka.tls' : undefined;
}

function innermost(error: unknown): unknown[] {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.flatMap(innermost);
  }
  return error instanceof Error && error.cause instanceof Error ? innermost(error.cause) : [error];
}
