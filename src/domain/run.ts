import type { RunState } from './run-state.ts';
import type { WorkflowPlan } from './workflow-plan.ts';

/** What the ledger is asked to remember before anything else happens. */
export interface NewRun {
  readonly deliveryId: string;
  readonly kind: 'command' | 'codex';
  /** The command's name, or `implementation`. */
  readonly command: string;
  readonly door: string;
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
  /** The run that this one tries again. */
  readonly retryOf?: string;
  /** The message in the chat that will follow this run, where the door is a chat. */
  readonly message?: { readonly interactionId: string; readonly ephemeral: boolean };
}

/** What is answered about a run, the same on every replay but for `state` and `reason`. */
export interface RunReceipt {
  readonly runId: string;
  readonly deliveryId: string;
  readonly namespace: string;
  readonly workflowName: string;
  readonly correlationId: string;
  readonly acceptedAt: Date;
  readonly state: RunState;
  /** Why it was refused or how it failed; empty otherwise. */
  readonly reason: string;
  /** True when this delivery was recorded before. */
  readonly duplicate: boolean;
}
