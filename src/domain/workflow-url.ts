/** How the Argo UI identifies a workflow. */
export interface WorkflowAddress {
  readonly namespace: string;
  readonly workflowName: string;
  /** Empty while unknown. */
  readonly workflowUid: string;
}

/** A workflow's page in the Argo UI; undefined if no UI is configured or its URL is not public. */
export function workflowUrl(
  uiUrl: string | undefined,
  { namespace, workflowName, workflowUid }: WorkflowAddress,
): URL | undefined {
  if (uiUrl === undefined) {
    return undefined;
  }
  const uid = workflowUid === '' ? '' : `?uid=${encodeURIComponent(workflowUid.toWellFormed())}`;
  const path = [namespace, workflowName].map((part) => encodeURIComponent(part.toWellFormed())).join('/');
  const url = URL.parse(`${uiUrl}/workflows/${path}${uid}`);
  return url !== null && /^https?:$/.test(url.protocol) ? url : undefined;
}
