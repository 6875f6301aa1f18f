/** What will be created in the cluster for a run: everything but the name, which the ledger reserves. */
export interface WorkflowPlan {
  readonly namespace: string;
  readonly workflowTemplate: string;
  /** Empty: the cluster's default. */
  readonly serviceAccount: string;
  readonly namePrefix: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export const LABELS = {
  managedBy: 'app.kubernetes.io/managed-by',
  delivery: 'facteur.proompteng.ai/delivery',
  command: 'facteur.proompteng.ai/command',
} as const;

export const ANNOTATIONS = {
  deliveryId: 'facteur.proompteng.ai/delivery-id',
  runId: 'facteur.proompteng.ai/run-id',
  traceparent: 'facteur.proompteng.ai/traceparent',
} as const;

export const MANAGED_BY = 'facteur';
