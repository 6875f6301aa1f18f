import { isRecord } from '../../base/json.ts';
import type { IncomingMessage } from 'node:http';
import { badRequest, bodyTooLarge, unsupportedMediaType } from './api-failure.ts';
import type { JsonObject } from './objects.ts';

/** The apiserver's limit on request bodies. */
const MAX_BODY_BYTES = 3 * 1024 * 1024;

/** The whole body; a larger one is read to its end and then refused, so that the client gets to see the 413. */
export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_BODY_BYTES) {
      chunks.push(chunk);
    }
  }
  if (size > MAX_BODY_BYTES) {
    throw bodyTooLarge(MAX_BODY_BYTES);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Refuses (415) any other media type; none at all counts as the first. */
export function checkMediaType(header: string | undefined, accepted: readonly string[]): void {
  const type = header?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type !== '' && !accepted.includes(type)) {
    throw unsupportedMediaType(accepted);
  }
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
