const TRACEPARENT = /^([0-9a-f]{2})-(([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2})(-|$)/;

/**
 * The W3C `traceparent` if it is valid, else empty: a broken header starts a new trace and is never an error. Later
 * versions may append any text after the flags; it is dropped, and the rest passed on as the version that facteur
 * knows. Version `ff` and ids of zeros are invalid.
 */
export function validTraceparent(header: string | undefined): string {
  const match = header === undefined ? null : TRACEPARENT.exec(header.trim());
  if (match === null) {
    return '';
  }
  const [, version, known, traceId, spanId, more] = match;
  const broken =
    version === 'ff' || /^0+$/.test(traceId ?? '') || /^0+$/.test(spanId ?? '') || (version === '00' && more !== '');
  return broken ? '' : `00-${known}`;
}

/**
 * The start of a trace if the sender sent none, so that the workflow's spans can join it. Sampled, which is the
 * default for a trace without a parent.
 *
 * @param newId makes a UUID
 */
export function newTraceparent(newId: () => string): string {
  const [traceId = '', spanId = ''] = [newId(), newId()].map((id) => id.replaceAll('-', ''));
  return `00-${traceId}-${spanId.slice(0, 16)}-01`;
}

/** The trace id of a valid `traceparent`, for log lines; empty without one. */
export function traceIdOf(traceparent: string): string {
  return traceparent.slice(3, 35);
}

/** Whether a valid `traceparent` is sampled: the last bit of its flags. */
export function isSampled(traceparent: string): boolean {
  return /[13579bdf]$/.test(traceparent);
}

/** The trace of a `traceparent` as a field of a log line; no field without one. */
export function traceField(traceparent: string): { readonly traceId?: string } {
  return traceparent === '' ? {} : { traceId: traceIdOf(traceparent) };
}
