import { isRecord } from '../../src/base/json.ts';
import type { JsonObject } from './objects.ts';

/** RFC 7386: null removes, objects merge, everything else replaces. Neither argument is changed. */
export function mergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const result: Record<string, unknown> = { ...target };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) {
      delete result[key];
    } else if (isRecord(value)) {
      const before = result[key];
      setOwn(result, key, mergePatch(isRecord(before) ? before : {}, value));
    } else {
      setOwn(result, key, value);
    }
  }
  return result;
}

/** Plain assignment to `__proto__` would change the prototype instead of adding a field. */
function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}
