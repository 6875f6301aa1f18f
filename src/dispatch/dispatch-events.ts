import { SpanKind, type Attributes, type Counter, type Span } from '@opentelemetry/api';
import type { Logger } from '../base/logger.ts';
import { counter, histogram } from '../base/metrics.ts';
import { SPANS } from '../base/spans.ts';
import { continuing, currentTraceparent, inSpan, type SpanSettings } from '../base/telemetry.ts';
import { traceField } from '../base/traceparent.ts';
import type { CodexDelivery } from '../domain/codex-delivery.ts';
import type { Command } from '../domain/command.ts';
import { commandLabel, OTHER_LABEL, UNKNOWN_LABEL, type RuleSource } from '../domain/command-rules.ts';
import type { NewRun, RunReceipt } from '../domain/run.ts';
import { isHeldBack } from '../ledger/convoy.ts';
import { IMPLEMENTATION } from './plan-codex.ts';

/** Log lines, metrics and spans of a delivery until it is a run. */
export class DispatchEvents {
  readonly #rules: RuleSource['rules'];
  readonly #logger: Logger;
  readonly #processed: Counter;
  readonly #failed: Counter;
  readonly #deadLettered: Counter;
  readonly #duration = histogram('facteur_command_events_duration_ms');
  /** Starts at zero for the doors of other services, so it is visible if one of them sends nothing. */
  readonly #recorded = counter(
    'facteur_runs_recorded_total',
    ['http', 'kafka'].map((door) => ({ door, duplicate: false })),
  );
  /** Errors that were already counted: a door may report what dispatch has reported. */
  readonly #counted = new WeakSet();

  /** @param rules the defined commands: all other names share one series */
  constructor(rules: RuleSource['rules'], logger: Logger) {
    const series = [...Object.keys(rules().commands), UNKNOWN_LABEL, OTHER_LABEL].map((command) => ({ command }));
    this.#rules = rules;
    this.#logger = logger;
    this.#processed = counter('facteur_command_events_processed_total', series);
    this.#failed = counter('facteur_command_events_failed_total', series);
    this.#deadLettered = counter('facteur_command_events_dlq_total', series);
  }

  /**
   * Processes a command in a span. `work` receives the command with the span's `traceparent`, which the run's row keeps: later
   * events of the run, in any process, belong to the sender's trace, or to the one that begins here.
   */
  async command(command: Command, work: (command: Command) => Promise<RunReceipt>): Promise<RunReceipt> {
    const startedAt = performance.now();
    try {
      return await inSpan(SPANS.command, belonging(command, commandAttributes(command)), async (span) => {
        const receipt = this.#accepted(span, command.door, await work(traced(command)));
        span.setAttribute('facteur.correlation_id', receipt.correlationId);
        this.#processed.add(1, this.#label(command.name));
        this.#duration.record(performance.now() - startedAt, this.#label(command.name));
        return receipt;
      });
    } catch (error) {
      this.commandFailed(command.name, error);
      throw error;
    }
  }

  /** The same for a Codex task. */
  codexTask(delivery: CodexDelivery, work: (delivery: CodexDelivery) => Promise<RunReceipt>): Promise<RunReceipt> {
    const { task, deliveryId } = delivery;
    const attributes = {
      ...codexAttributes(delivery),
      'facteur.codex.repository': task.repository,
      'facteur.codex.issue_number': Number(task.issueNumber),
      'facteur.codex.delivery_id': deliveryId,
    };
    return inSpan(SPANS.codexTask, belonging(delivery, attributes), async (span) => {
      const receipt = this.#accepted(span, delivery.door, await work(traced(delivery)));
      span.setAttributes(codexReceiptAttributes(receipt));
      return receipt;
    });
  }

  retry(runId: string, work: () => Promise<RunReceipt>): Promise<RunReceipt> {
    return inSpan(SPANS.retry, { attributes: { 'facteur.retry_of': runId } }, async (span) =>
      this.#accepted(span, 'retry', await work()),
    );
  }

  #accepted(span: Span, door: string, receipt: RunReceipt): RunReceipt {
    this.#recorded.add(1, { door, duplicate: receipt.duplicate });
    span.setAttributes(receiptAttributes(receipt));
    return receipt;
  }

  /** A delivery was recorded in the ledger. */
  runRecorded({ traceparent, door }: NewRun, receipt: RunReceipt): void {
    const { runId, deliveryId, workflowName: workflow, duplicate } = receipt;
    const fields = { ...traceField(traceparent), runId, deliveryId, workflow, door, duplicate };
    this.#logger.info(fields, 'run recorded');
  }

  /** An attempt to process a command failed, whether or not there will be another. */
  commandFailed(command: string, error: unknown): void {
    if (typeof error === 'object' && error !== null && !this.#counted.has(error) && !isHeldBack(error)) {
      this.#counted.add(error);
      this.#failed.add(1, this.#label(command));
    }
  }

  /** A command can never become a run, and is kept as a dead letter. */
  commandDeadLettered(command: string): void {
    this.#deadLettered.add(1, this.#label(command));
  }

  #label(command: string): { readonly command: string } {
    return { command: commandLabel(command, this.#rules()) };
  }
}

/** A request for a Codex task, in a span named like the Go service's. */
export function inCodexRequest(delivery: CodexDelivery, work: () => Promise<RunReceipt>): Promise<RunReceipt> {
  const settings = { kind: SpanKind.SERVER, ...belonging(delivery, codexAttributes(delivery)) };
  return inSpan(SPANS.codexRequest, settings, async (span) => {
    const receipt = await work();
    span.setAttributes(codexReceiptAttributes(receipt));
    return receipt;
  });
}

function belonging({ traceparent }: Pick<Command, 'traceparent'>, attributes: Attributes): SpanSettings {
  return { ...continuing(traceparent), attributes };
}

/** With the `traceparent` of the current span, or the sender's if tracing is off. */
function traced<T extends Pick<Command, 'traceparent'>>(asked: T): T {
  return { ...asked, traceparent: currentTraceparent() || asked.traceparent };
}

function commandAttributes({ name, door, deliveryId, principal, traceId }: Command): Attributes {
  return {
    'facteur.command': name,
    'facteur.door': door,
    'facteur.delivery_id': deliveryId,
    'facteur.user_id': principal.userId,
    ...(traceId === '' ? {} : { 'facteur.trace_id': traceId }),
  };
}

/** The Go service's attributes of a task: these names are for the request's span; the run's span has longer ones. */
function codexAttributes({ task, deliveryId }: CodexDelivery): Attributes {
  return {
    'codex.stage': IMPLEMENTATION,
    'codex.repository': task.repository,
    'codex.issue_number': Number(task.issueNumber),
    'codex.delivery_id': deliveryId,
  };
}

function codexReceiptAttributes({ namespace, workflowName, duplicate }: RunReceipt): Attributes {
  return {
    'facteur.codex.namespace': namespace,
    'facteur.codex.workflow': workflowName,
    'facteur.codex.duplicate': duplicate,
  };
}

function receiptAttributes(receipt: RunReceipt): Attributes {
  return {
    'facteur.run_id': receipt.runId,
    'facteur.workflow_name': receipt.workflowName,
    'facteur.workflow_namespace': receipt.namespace,
    'facteur.duplicate': receipt.duplicate,
    'facteur.state': receipt.state,
  };
}
