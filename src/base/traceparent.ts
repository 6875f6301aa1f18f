const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;

/**
 * The W3C `traceparent` when it is one, else empty: a header that is broken starts a new trace and is never an error.
 * Later versions may carry more after the flags; version `ff` and ids of zeros are invalid.
 */
export function validTraceparent(header: string | undefined): string {
  const match = header === undefined ? null : TRACEPARENT.exec(header.trim());
  if (match === null) {
    return '';
  }
  const [whole, version, traceId, spanId, more] = match;
  const broken =
    version === 'ff' ||
    /^0+$/.test(traceId ?? '') ||
    /^0+$/.test(spanId ?? '') ||
    (version === '00' && more !== undefined);
  return broken ? '' : whole;
}

/** The trace id of a valid `traceparent`, for log lines; empty when there is none. */
export function traceIdOf(traceparent: string): string {
  return traceparent.slice(3, 35);
}

/** The trace of a `traceparent` as a field of a log line; no field when there is none. */
export function traceField(traceparent: string): { readonly traceId?: string } {
  return traceparent === '' ? {} : { traceId: traceIdOf(traceparent) };
}
