import { parseDuration } from '../base/duration.ts';

/** A duration as Argo reads it, in milliseconds: whole seconds without a unit, or a Go duration. Undefined if Argo rejects it. */
export function argoDurationMs(text: string): number | undefined {
  return /^[+-]?\d{1,9}$/.test(text) ? Number(text) * 1000 : parseDuration(text);
}
