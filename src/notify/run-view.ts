import type { RunState } from '../domain/run-state.ts';

/** What a message shows of a run. */
export interface RunView {
  readonly runId: string;
  readonly command: string;
  readonly state: RunState;
  readonly namespace: string;
  readonly workflowName: string;
  /** Empty while it is not known. */
  readonly workflowUid: string;
  /** Argo's `done/total`, or empty. */
  readonly progress: string;
  /** Why it was refused, or what the failing step said; empty otherwise. */
  readonly reason: string;
  /** Discord's id of whoever asked, or empty. */
  readonly userId: string;
  /** How often Argo has retried it. */
  readonly retryCount: number;
  readonly cancelRequested: boolean;
  readonly acceptedAt: Date;
  readonly startedAt: Date | undefined;
  readonly finishedAt: Date | undefined;
}

/** How it is shown. */
export interface RenderOptions {
  /** Base of the Argo UI, no slash at the end. */
  readonly uiUrl: string | undefined;
  /** The message stands by itself: it answers nobody's command, so it says for whom it is. */
  readonly detached: boolean;
  /** The message cannot be changed after this. */
  readonly last: boolean;
}
