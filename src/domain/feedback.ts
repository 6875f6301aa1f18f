/** Follow-up work based on what runs taught: facteur starts it, and it is a run like any other. */
export interface FeedbackWork {
  /** The kind of work, which is also the run's command. */
  readonly name: 'ssfo-pair' | 'embedding-refresh';
  /** The same id is the same run forever. */
  readonly workId: string;
  readonly workflowTemplate: string;
  /** Valid for Argo. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The actor that caused it, for the run's history. */
  readonly actor: string;
  /** W3C `traceparent`, or empty. */
  readonly traceparent: string;
}
