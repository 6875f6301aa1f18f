import { isRecord } from '../../base/json.ts';
import type { LastDispatch } from './sessions.ts';

/** The dispatch as the Go service wrote it: its field names, without tags. */
export function encodeDispatch(dispatch: LastDispatch): string {
  return JSON.stringify({
    Namespace: dispatch.namespace,
    WorkflowName: dispatch.workflowName,
    Message: dispatch.message,
    CorrelationID: dispatch.correlationId,
    TraceID: dispatch.traceId,
  });
}

/** The longest accepted text: the Go service has no limits, and a review copies the correlation id. */
const MAX_LENGTH = 1000;
const MAX_ID_LENGTH = 256;

/** Missing, overlong and mistyped fields are empty, and unknown fields are ignored; undefined if the JSON is not an object. */
export function decodeDispatch(json: string): LastDispatch | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    // A value under our key that somebody else wrote is ignored.
    return undefined;
  }
  if (!isRecord(value)) {
    return undefined;
  }
  const text = (name: string, maxLength = MAX_LENGTH): string => {
    const found = value[name];
    return typeof found === 'string' && found.length <= maxLength ? found : '';
  };
  return {
    namespace: text('Namespace'),
    workflowName: text('WorkflowName'),
    message: text('Message'),
    correlationId: text('CorrelationID', MAX_ID_LENGTH),
    traceId: text('TraceID', MAX_ID_LENGTH),
  };
}
