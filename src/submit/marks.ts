import type { Logger } from '../base/logger.ts';
import { FacteurError } from '../base/errors.ts';
import { outsideOfTraces } from '../base/telemetry.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { RunState } from '../domain/run-state.ts';
import { ObservationBuffer } from '../ledger/observation-buffer.ts';
import { ObservationWriter } from '../ledger/observation-writer.ts';
import {
  findForeign,
  observationOfCreate,
  type CreatedWorkflow,
  type Observation,
  type Observed,
} from '../ledger/observe-workflows.ts';
import type { ClaimedRun } from '../ledger/submission-queue.ts';

/** A workflow that exists in the cluster but is not yet recorded in the ledger. */
export interface Mark extends Observation, CreatedWorkflow {
  /** Without the contents of its plan, because many marks may wait. */
  readonly run: ClaimedRun;
}

/** The ledger's response to a mark. */
export type MarkResult =
  | (Pick<Observed, 'to' | 'dueNow' | 'messageChanged'> & {
      readonly effect: Exclude<Observed['effect'], 'unconfirmed'>;
    })
  /** The run has another workflow by now; nothing follows this one. */
  | { readonly effect: 'foreign'; readonly to: RunState };

interface MarksDeps {
  readonly db: Database;
  readonly logger: Logger;
  readonly random: () => number;
  /** Called with each mark that changed something or is foreign. Must not throw. */
  readonly onWritten: (mark: Mark, result: MarkResult) => void;
}

/** How long a mark waits, in milliseconds, so more of them share a statement: nobody waits for a mark. */
const DELAY_MS = 50;
/** Maximum number of marks per statement. At most this many wait, plus one per slot. */
const LIMIT = 256;

/**
 * Records in batches that workflows were created. The response to a create is an observation like any other, and the cluster can
 * repeat it: if a crash loses a mark, its run stays queued. When its claim expires, the run is created again under the same name,
 * and the cluster's 409 leads to the workflow. So no response and no slot waits for a mark, unless Postgres is down: then slots
 * fill up.
 */
export class Marks {
  readonly #deps: MarksDeps;
  readonly #stopping = new AbortController();
  readonly #writer: ObservationWriter;
  readonly #buffer: ObservationBuffer<Mark>;
  readonly #unwritten = new Map<string, Mark>();

  constructor(deps: MarksDeps) {
    this.#deps = deps;
    this.#writer = new ObservationWriter({ ...deps, signal: this.#stopping.signal, durability: 'fleeting' });
    this.#buffer = new ObservationBuffer({ write: (batch) => this.#write(batch), delayMs: DELAY_MS, limit: LIMIT });
  }

  /** Resolves when there is room for the next mark. */
  async add(run: ClaimedRun, created: CreatedWorkflow): Promise<void> {
    const { workflowName, workflowUid } = created;
    const { namespace } = run.plan;
    const plan = { ...run.plan, parameters: {}, labels: {}, annotations: {} };
    const seen = observationOfCreate({ ...run, namespace }, created);
    const mark: Mark = { ...seen, workflowName, workflowUid, run: { ...run, plan } };
    this.#unwritten.set(run.runId, mark);
    // One batch contains runs of many traces.
    await outsideOfTraces(() => this.#buffer.add(mark));
  }

  /** The mark of a run that is still queued in the ledger. */
  find(runId: string): Mark | undefined {
    return this.#unwritten.get(runId);
  }

  /** Writes pending marks if Postgres accepts them immediately. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#buffer.flush();
  }

  async #write(batch: readonly Mark[]): Promise<void> {
    const observed = await this.#writer.write(batch);
    for (const mark of batch) {
      if (this.#unwritten.get(mark.run.runId) === mark) {
        this.#unwritten.delete(mark.run.runId);
      }
    }
    if (observed === undefined) {
      this.#deps.logger.warn({ runs: batch.length }, 'submissions not recorded; found again when their claims expire');
      return;
    }
    const results = new Map<string, MarkResult>();
    for (const { effect, ...result } of observed) {
      // Marks come from creates that were answered, so there is nothing to confirm.
      if (effect !== 'unconfirmed') {
        results.set(result.runId, { ...result, effect });
      }
    }
    const silent = batch.filter(({ uid, run }) => uid !== '' && !results.has(run.runId));
    for (const { runId, state } of await this.#foreign(silent)) {
      results.set(runId, { effect: 'foreign', to: state });
    }
    for (const mark of batch) {
      const result = results.get(mark.run.runId);
      if (result !== undefined) {
        this.#deps.onWritten(mark, result);
      }
    }
  }

  /** Finds foreign workflows among marks without an effect. Most of those are workflows that the follower saw first. */
  async #foreign(silent: readonly Mark[]) {
    if (silent.length === 0) {
      return [];
    }
    const created = silent.map(({ run: { runId }, workflowName, workflowUid }) => ({
      runId,
      workflowName,
      workflowUid,
    }));
    const foreign = await this.#writer.persist(() => findForeign(this.#deps.db, created));
    return foreign === undefined || foreign instanceof FacteurError ? [] : foreign;
  }
}
