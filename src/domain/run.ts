import type { DeliveryFamily } from './delivery.ts';
import type { RunState } from './run-state.ts';
import type { WorkflowPlan } from './workflow-plan.ts';

/** What the ledger records before anything else happens. */
export interface NewRun {
  /** As it was given: known within its family. */
  readonly deliveryId: string;
  readonly family: DeliveryFamily;
  readonly kind: 'command' | 'codex';
  /** The command's name, or `implementation`. */
  readonly command: string;
  readonly door: string;
  /** Who asked, for the history; facteur itself where the door does not know. */
  readonly actor?: string;
  /** What was asked, in one line; absent if nothing tells. */
  readonly title?: string;
  /** The sender's; empty: the workflow's name. */
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
  /** The message in the chat that will follow this run, where the door is a chat. */
  readonly message?: RunMessage;
}

/** The message in the chat that follows a run. */
export interface RunMessage {
  readonly interactionId: string;
  readonly ephemeral: boolean;
  /** Whom to notify once when it has ended: `author`, or `roles:` and their ids; absent for nobody. */
  readonly ping?: string;
  readonly quiet?: boolean;
}

/** The answer about a run, the same on every replay except for `state` and `reason`. */
export interface RunReceipt {
  readonly runId: string;
  /** As it was given. */
  readonly deliveryId: string;
  /** What the ledger and the workflow call it, where another family had the id first; else null. */
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
