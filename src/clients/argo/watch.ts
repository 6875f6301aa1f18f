import { isRecord } from '../../base/json.ts';
import { errorFromEvent } from './answers.ts';
import type { Operation } from './answers.ts';
import { ArgoError } from './errors.ts';
import type { ReadObject } from './read.ts';
import type { WatchEvent } from './workflows.ts';

/** No event is larger than an object that the cluster stores: about twice etcd's limit, for escapes. */
const MAX_LINE_BYTES = 4 * 1024 * 1024;
const NEWLINE = 10;

/** Splits a stream into whole lines, those of a chunk together. An incomplete line at the end means that the connection was cut. */
export async function* lines(
  pieces: AsyncIterable<Buffer>,
  operation: Operation,
): AsyncGenerator<readonly string[], void, undefined> {
  let held: Buffer[] = [];
  let size = 0;
  for await (const piece of pieces) {
    const whole: string[] = [];
    let start = 0;
    for (let end = piece.indexOf(NEWLINE); end !== -1; end = piece.indexOf(NEWLINE, start)) {
      const rest = piece.subarray(start, end);
      whole.push((held.length === 0 ? rest : Buffer.concat([...held, rest])).toString('utf8'));
      held = [];
      size = 0;
      start = end + 1;
    }
    if (start < piece.length) {
      held.push(piece.subarray(start));
      size += piece.length - start;
    }
    if (whole.length > 0) {
      yield whole;
    }
    if (size > MAX_LINE_BYTES) {
      throw new ArgoError('argo.bad_answer', `cannot ${operation.name}: an event exceeds ${MAX_LINE_BYTES} bytes`);
    }
  }
  if (size > 0) {
    throw new ArgoError('argo.bad_answer', `cannot ${operation.name}: the stream ended within an event`);
  }
}

/** One line of a watch. An ERROR event is thrown as the error that it reports: `argo.expired` for 410. */
export function parseWatchLine<T>(line: string, operation: Operation, readObject: ReadObject<T>): WatchEvent<T> {
  const event = parseLine(line, operation);
  if (event['type'] === 'ERROR') {
    throw errorFromEvent(operation, event['object']);
  }
  const { object } = event;
  const version = isRecord(object) && isRecord(object['metadata']) ? object['metadata']['resourceVersion'] : undefined;
  if (typeof version !== 'string' || version === '') {
    throw new ArgoError('argo.bad_answer', `cannot ${operation.name}: an event without a resource version`);
  }
  switch (event['type']) {
    case 'BOOKMARK':
      return { type: 'BOOKMARK', resourceVersion: version };
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: event['type'], object: readObject(object, operation), resourceVersion: version };
    default:
      throw new ArgoError('argo.bad_answer', `cannot ${operation.name}: an event of an unknown type`);
  }
}

function parseLine(line: string, operation: Operation): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new ArgoError('argo.bad_answer', `cannot ${operation.name}: an event is not JSON`, { cause: error });
  }
  if (!isRecord(value)) {
    throw new ArgoError('argo.bad_answer', `cannot ${operation.name}: an event is not an object`);
  }
  return value;
}
