/** Work that follows from what runs taught: facteur starts it, and it is a run like any other. */
export interface FeedbackWork {
  /** What is done; the command of the run. */
  readonly name: 'ssfo-pair' | 'embedding-refresh';
  /** The same work is one run forever. */
  readonly workId: string;
  readonly workflowTemplate: string;
  /** Fit for Argo. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Who caused it, for the run's history. */
  readonly actor: string;
  /** W3C `traceparent`, or empty. */
  readonly traceparent: string;
}
