import type { DeliveryFamily } from './delivery.ts';
import type { RunState } from './run-state.ts';
import type { WorkflowPlan } from './workflow-plan.ts';

/** The data that the ledger records before anything else happens. */
export interface NewRun {
  /** As given by the sender; unique within its family. */
  readonly deliveryId: string;
  readonly family: DeliveryFamily;
  readonly kind: 'command' | 'codex';
  /** The command's name, or `implementation`. */
  readonly command: string;
  readonly door: string;
  /** The requester, for the history; facteur itself if the door does not know. */
  readonly actor?: string;
  /** The request in one line; absent if nothing describes it. */
  readonly title?: string;
  /** From the sender; if empty, the workflow's name is used. */
  readonly correlationId: string;
  readonly traceparent: string;
  readonly userId: string;
  readonly guildId: string;
  readonly channelId: string;
  readonly acceptedAt: Date;
  readonly plan: WorkflowPlan;
  /** `skipped` while the dispatcher is disabled. */
  readonly state: 'queued' | 'skipped';
  readonly idea: {
    readonly sourceType: string;
    readonly sourceRef: string;
    readonly status: string;
    readonly payload: unknown;
  };
  readonly task: { readonly stage: string; readonly metadata: unknown };
  readonly runMetadata: unknown;
  /** The run that this one retries. */
  readonly retryOf?: string;
  /** The chat message that will follow this run, if the door is a chat. */
  readonly message?: RunMessage;
}

/** The chat message that follows a run. */
export interface RunMessage {
  readonly interactionId: string;
  readonly ephemeral: boolean;
  /** Whom to notify once when the run ends: `author`, or `roles:` and their ids; absent for nobody. */
  readonly ping?: string;
  readonly quiet?: boolean;
}

/** The answer about a run: identical on every replay, except for `state` and `reason`. */
export interface RunReceipt {
  readonly runId: string;
  /** As given by the sender. */
  readonly deliveryId: string;
  /** The id in the ledger and the workflow, if another family had this one first; otherwise null. */
  readonly recordedId: string | null;
  readonly namespace: string;
  readonly workflowName: string;
  readonly correlationId: string;
  readonly acceptedAt: Date;
  readonly state: RunState;
  /** Why it was refused or how it failed; empty otherwise. */
  readonly reason: string;
  /** The Go service recorded it, and may have created its workflow. */
  readonly takenOver: boolean;
  /** True when this delivery was recorded before. */
  readonly duplicate: boolean;
}
