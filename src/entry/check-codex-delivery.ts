import { FacteurError } from '../base/errors.ts';
import type { CodexDelivery } from '../domain/codex-delivery.ts';
import { Refusal } from '../domain/refusal.ts';
import { CodexTaskStage } from '../proto/proompteng/froussard/v1/codex_task_pb.ts';

/**
 * Checks whether a task may run, the same at every door. In the order of the contract: permanent refusals, then
 * disabled
 * features, then missing data.
 *
 * @throws Refusal `unsupported_stage` or `missing_delivery_id`, FacteurError `codex.disabled`
 */
export function checkCodexDelivery({ task, deliveryId }: CodexDelivery, enabled: boolean): void {
  if (task.stage !== CodexTaskStage.IMPLEMENTATION) {
    throw new Refusal('unsupported_stage');
  }
  if (!enabled) {
    throw new FacteurError('codex.disabled', 'the implementation orchestrator is disabled', { retryable: true });
  }
  if (deliveryId === '') {
    throw new Refusal('missing_delivery_id');
  }
}
