import { context, SpanKind, trace } from '@opentelemetry/api';
import { histogram } from '../../base/metrics.ts';
import { errorType, inSpan } from '../../base/telemetry.ts';

/** Measures statements and the wait for a connection. */
export interface StatementTelemetry {
  /** One statement, by name: a child of the current span, if there is one. */
  statement<T>(name: string, send: () => Promise<T>): Promise<T>;
  /** Waiting for a connection. */
  wait<T>(acquire: () => Promise<T>): Promise<T>;
}

/** The only pool. */
const POOL = { 'db.client.connection.pool.name': 'postgres' };

/**
 * Names and attributes are those of https://opentelemetry.io/docs/specs/semconv/database/. Never records a statement's text or
 * values: its name identifies it.
 */
export function createStatementTelemetry(): StatementTelemetry {
  const duration = histogram('db.client.operation.duration');
  const waits = histogram('db.client.connection.wait_time');
  return {
    async statement(name, send) {
      const startedAt = performance.now();
      const attributes = { 'db.system.name': 'postgresql', 'db.operation.name': name };
      const record = (outcome: { 'error.type'?: string }): void =>
        duration.record((performance.now() - startedAt) / 1000, { ...attributes, ...outcome });
      try {
        // A worker's polling has no parent, and each poll would be a trace of its own.
        const isWanted = trace.getSpan(context.active())?.isRecording() === true;
        const result = await (isWanted ? inSpan(name, { kind: SpanKind.CLIENT, attributes }, send) : send());
        record({});
        return result;
      } catch (error) {
        record({ 'error.type': errorType(error) });
        throw error;
      }
    },
    async wait(acquire) {
      const startedAt = performance.now();
      try {
        return await acquire();
      } finally {
        waits.record((performance.now() - startedAt) / 1000, POOL);
      }
    },
  };
}
