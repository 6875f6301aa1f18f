import type { CommandDefinition } from './command.ts';

/** Everything that will be created in the cluster for a run, except the name, which the ledger reserves. */
export interface WorkflowPlan {
  readonly namespace: string;
  readonly workflowTemplate: string;
  /** Empty: the cluster's default. */
  readonly serviceAccount: string;
  readonly namePrefix: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** The only allowed values of some parameters: Argo checks them only if the workflow itself repeats them. */
  readonly enums?: Readonly<Record<string, readonly string[]>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** The workflow receives no token for reporting back. */
  readonly report?: false;
  /** The workflow receives reflections of earlier runs in the same repository. */
  readonly knowledge?: {
    readonly repository: string;
    /** `github:LOGIN`, `discord:ID` or `api:NAME`; empty if unknown. */
    readonly askedBy: string;
  };
}

export const LABELS = {
  managedBy: 'app.kubernetes.io/managed-by',
  delivery: 'facteur.proompteng.ai/delivery',
  command: 'facteur.proompteng.ai/command',
} as const;

/** The label of a Codex task's issue, which the Go service gives its workflows too. */
export const ISSUE_LABEL = 'codex.issue_number';

export const ANNOTATIONS = {
  deliveryId: 'facteur.proompteng.ai/delivery-id',
  runId: 'facteur.proompteng.ai/run-id',
  traceparent: 'facteur.proompteng.ai/traceparent',
  /** Of the template that defined the command, as known when the run was planned. */
  templateUid: 'facteur.proompteng.ai/template-uid',
  templateVersion: 'facteur.proompteng.ai/template-version',
  /** The names of the global outputs to show as results, separated by commas. */
  result: 'facteur.proompteng.ai/result',
} as const;

/**
 * Whether a run with this plan belongs to the command that has its name now. A name is free once its template or its entry in the
 * configuration is gone, and people who may use the new command have no rights over these runs.
 */
export function isOfCommand(
  { namespace, workflowTemplate, annotations }: Pick<WorkflowPlan, 'namespace' | 'workflowTemplate' | 'annotations'>,
  definition: CommandDefinition | undefined,
): boolean {
  const isTemplates = annotations[ANNOTATIONS.templateUid] !== undefined;
  const template = definition?.template;
  if (template === undefined || !isTemplates) {
    return (template === undefined) === !isTemplates;
  }
  return template.namespace === namespace && template.name === workflowTemplate;
}

export const MANAGED_BY = 'facteur';
