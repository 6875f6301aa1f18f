import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { histogram } from './metrics.ts';
import { SPANS } from './spans.ts';
import { errorType, inSpan, outgoingHeaders } from './telemetry.ts';

/** One HTTP request to another system. */
interface ClientRequest {
  readonly method: string;
  /** Its purpose, which completes "cannot …". Unlike paths, there are few. */
  readonly purpose: string;
  /** Only its host and port are recorded. */
  readonly url: URL;
}

/** Sends a request and measures it; `headers` continue the current trace at the receiver. */
type MeasuredSend = <T extends { readonly statusCode: number }>(
  request: ClientRequest,
  send: (headers: Readonly<Record<string, string>>) => Promise<T>,
) => Promise<T>;

/**
 * A client span around each request, and the time until its response ended, or until that of a stream began. Names and attributes follow
 * https://opentelemetry.io/docs/specs/semconv/http/.
 *
 * @param peer the kind of system, regardless of its address
 */
export function measureClient(peer: 'kubernetes' | 'discord' | 'embeddings'): MeasuredSend {
  const duration = histogram('http.client.request.duration');
  return ({ method, purpose, url }, send) => {
    const startedAt = performance.now();
    const attributes = {
      'http.request.method': method,
      'server.address': url.hostname,
      'server.port': Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
      'service.peer.name': peer,
    };
    const record = (outcome: Record<string, string | number>): void =>
      duration.record((performance.now() - startedAt) / 1000, { ...attributes, ...outcome });
    return inSpan(SPANS.call(method, purpose), { kind: SpanKind.CLIENT, attributes }, async (span) => {
      try {
        const response = await send(outgoingHeaders());
        const { statusCode } = response;
        const failed = statusCode >= 400 ? { 'error.type': String(statusCode) } : {};
        span.setAttributes({ 'http.response.status_code': statusCode, ...failed });
        if (statusCode >= 400) {
          span.setStatus({ code: SpanStatusCode.ERROR });
        }
        record({ 'http.response.status_code': statusCode, ...failed });
        return response;
      } catch (error) {
        record({ 'error.type': errorType(error) });
        throw error;
      }
    });
  };
}
