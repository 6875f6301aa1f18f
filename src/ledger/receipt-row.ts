import type { RunReceipt } from '../domain/run.ts';
import type { RunState } from '../domain/run-state.ts';

/** What a receipt needs from `facteur.runs`, in the order of {@link ReceiptRow}. */
export const RECEIPT_COLUMNS =
  'run_id, delivery_id, namespace, workflow_name, correlation_id, accepted_at, state, reason';

export interface ReceiptRow {
  readonly run_id: string;
  readonly delivery_id: string;
  readonly namespace: string;
  readonly workflow_name: string;
  readonly correlation_id: string;
  readonly accepted_at: Date;
  readonly state: RunState;
  readonly reason: string;
  readonly duplicate: boolean;
}

export function toReceipt(row: ReceiptRow): RunReceipt {
  return {
    runId: row.run_id,
    deliveryId: row.delivery_id,
    namespace: row.namespace,
    workflowName: row.workflow_name,
    correlationId: row.correlation_id,
    acceptedAt: row.accepted_at,
    state: row.state,
    reason: row.reason,
    duplicate: row.duplicate,
  };
}
