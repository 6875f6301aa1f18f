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

/** Whatever is missing or of another type is empty, and unknown fields are passed over; undefined when it is no object. */
export function decodeDispatch(json: string): LastDispatch | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    // Somebody else's value under our key tells nothing.
    return undefined;
  }
  if (!isRecord(value)) {
    return undefined;
  }
  const text = (name: string): string => {
    const found = value[name];
    return typeof found === 'string' ? found : '';
  };
  return {
    namespace: text('Namespace'),
    workflowName: text('WorkflowName'),
    message: text('Message'),
    correlationId: text('CorrelationID'),
    traceId: text('TraceID'),
  };
}
