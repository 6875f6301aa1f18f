import { parseDuration } from '../base/duration.ts';

/** A duration as Argo reads it, in milliseconds: seconds where it has no unit, else one of Go's. Undefined if Argo takes it for neither. */
export function argoDurationMs(text: string): number | undefined {
  return /^[+-]?\d{1,9}$/.test(text) ? Number(text) * 1000 : parseDuration(text);
}
