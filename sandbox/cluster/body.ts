import { isRecord } from '../../src/base/json.ts';
import type { IncomingMessage } from 'node:http';
import { badRequest, bodyTooLarge, unsupportedMediaType } from './api-failure.ts';
import type { JsonObject } from './objects.ts';
import { readUpTo } from '../simulation-server.ts';

/** The apiserver's limit on request bodies. */
const MAX_BODY_BYTES = 3 * 1024 * 1024;

/** @throws ApiFailure 413 */
export async function readBody(request: IncomingMessage): Promise<string> {
  const body = await readUpTo(request, MAX_BODY_BYTES);
  if (body === undefined) {
    throw bodyTooLarge(MAX_BODY_BYTES);
  }
  return body;
}

/** Returns the media type; empty if there is none. Refuses (415) a type that is not accepted. */
export function checkMediaType(header: string | undefined, accepted: readonly string[]): string {
  const type = header?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type !== '' && !accepted.includes(type)) {
    throw unsupportedMediaType(accepted);
  }
  return type;
}

export function parseObject(body: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw badRequest("couldn't get version/kind; json parse error: invalid character looking for beginning of value");
  }
  if (!isRecord(value)) {
    throw badRequest(
      "couldn't get version/kind; json parse error: json: cannot unmarshal into Go value of type struct",
    );
  }
  return value;
}

/** The operations of a JSON Patch. */
export function parseList(body: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(body);
    if (Array.isArray(value)) {
      return value as unknown[];
    }
  } catch {
    // Not JSON: falls through to the same answer.
  }
  throw badRequest('error decoding patch: json: cannot unmarshal into Go value of type jsonpatch.Patch');
}
