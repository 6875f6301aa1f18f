import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { redactText } from '../base/redact.ts';
import { contextOfTraceparent, inSpan, meter } from '../base/telemetry.ts';
import type { ClaimedMessage, Release } from '../ledger/messages.ts';

/** What is measured of telling people: each try is a span of the run's own trace. */
export interface NotifyTelemetry {
  tell(message: ClaimedMessage, work: () => Promise<Release>): Promise<Release>;
}

export function createNotifyTelemetry(): NotifyTelemetry {
  const messages = meter().createCounter('facteur_notify_messages_total', {
    description: 'Tries to bring the message of a run up to date, by how they ended.',
  });
  for (const outcome of ['told', 'failed', 'abandoned'] satisfies Release['outcome'][]) {
    messages.add(0, { outcome });
  }
  return {
    tell({ runId, run }, work) {
      const settings = {
        kind: SpanKind.CLIENT,
        parent: contextOfTraceparent(run.traceparent),
        attributes: { 'facteur.run_id': runId, 'facteur.state': run.state, 'facteur.revision': run.revision },
      };
      return inSpan('facteur.notify.tell', settings, async (span) => {
        const release = await work();
        messages.add(1, { outcome: release.outcome });
        span.setAttribute('facteur.outcome', release.outcome);
        if (release.outcome === 'failed' || release.outcome === 'abandoned') {
          span.setStatus({ code: SpanStatusCode.ERROR, message: redactText(release.reason) });
        }
        return release;
      });
    },
  };
}
