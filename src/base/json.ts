/** A JSON object, as opposed to null, an array or a scalar: the first question about anything that was parsed. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
