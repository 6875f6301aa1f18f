import { isDeepStrictEqual } from 'node:util';
import { isRecord } from '../../src/base/json.ts';
import { patchFailed } from './api-failure.ts';
import type { JsonObject } from './objects.ts';

type Container = Record<string, unknown> | unknown[];

/**
 * The part of RFC 6902 that facteur uses: `test`, `add`, `replace` and `remove`. The target is not changed.
 *
 * @throws ApiFailure 422 if a test fails or a path does not exist
 */
export function jsonPatch(target: JsonObject, operations: readonly unknown[]): JsonObject {
  const result = structuredClone(target) as Record<string, unknown>;
  for (const operation of operations) {
    carryOut(result, isRecord(operation) ? operation : {});
  }
  return result;
}

function carryOut(root: Record<string, unknown>, { op, path, value }: JsonObject): void {
  const keys = typeof path === 'string' ? path.split('/').slice(1).map(unescapeKey) : [];
  const last = keys.pop();
  const parent = keys.reduce<unknown>((at, key) => (isContainer(at) ? own(at, key) : undefined), root);
  if (last === undefined || !isContainer(parent) || !fits(parent, last, { op, value })) {
    throw patchFailed();
  }
  if (op === 'remove') {
    Reflect.deleteProperty(parent, last);
  } else if (op !== 'test') {
    Object.defineProperty(parent, last, { value, enumerable: true, configurable: true, writable: true });
  }
}

function fits(parent: Container, key: string, { op, value }: JsonObject): boolean {
  return op === 'add' || (op === 'test' ? isDeepStrictEqual(own(parent, key), value) : Object.hasOwn(parent, key));
}

function unescapeKey(key: string): string {
  return key.replaceAll('~1', '/').replaceAll('~0', '~');
}

function isContainer(value: unknown): value is Container {
  return isRecord(value) || Array.isArray(value);
}

function own(container: Container, key: string): unknown {
  return Object.hasOwn(container, key) ? (container as Record<string, unknown>)[key] : undefined;
}
