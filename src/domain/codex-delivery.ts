import type { CodexTask } from '../proto/proompteng/froussard/v1/codex_task_pb.ts';
import type { Door } from './command.ts';

/** A Codex task as a door received it: decoded and nothing more. */
export interface CodexDelivery {
  readonly door: Door;
  /** Identity of the delivery: the same id is the same run, for ever. */
  readonly deliveryId: string;
  readonly task: CodexTask;
  /** W3C `traceparent`, or empty. */
  readonly traceparent: string;
}
