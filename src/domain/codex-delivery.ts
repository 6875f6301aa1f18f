import type { CodexTask } from '../proto/proompteng/froussard/v1/codex_task_pb.ts';
import type { Door } from './command.ts';

/** A decoded Codex task, as a door received it. */
export interface CodexDelivery {
  readonly door: Door;
  /** Identity of the delivery: the same id is the same run forever. */
  readonly deliveryId: string;
  readonly task: CodexTask;
  /** The sender, for the run's history, if the door knows it. */
  readonly actor?: string;
  /** W3C `traceparent`, or empty. */
  readonly traceparent: string;
}
