import { backoffMs, type BackoffLimits } from '../base/backoff.ts';
import { errorMessage, FacteurError } from '../base/errors.ts';
import { traceField } from '../base/traceparent.ts';
import { isArgoError } from '../clients/argo/errors.ts';
import type { Observation, Observed } from '../ledger/observe-workflows.ts';
import { observeWorkflows } from '../ledger/observe-workflows.ts';
import type { FollowDeps } from './deps.ts';
import { createFollowTelemetry } from './follow-telemetry.ts';
import type { KnownWorkflows } from './known-workflows.ts';
import { observe } from './observe.ts';
import { pause } from './pause.ts';

/** A workflow to be asked for. Without a uid it is known by its delivery label. */
export type Candidate = Pick<Observation, 'namespace' | 'name' | 'uid' | 'deliveryLabel'>;

export const VANISHED = 'the workflow vanished before its end was seen';
/** Observations in one statement at the most. */
export const BATCH = 500;

const LEDGER_BACKOFF: BackoffLimits = { firstMs: 100, maxMs: 10_000 };
const LOOK_BACKOFF: BackoffLimits = { firstMs: 200, maxMs: 2_000 };
const LOOK_TRIES = 3;
const LOOKS_AT_A_TIME = 8;

/** Writes what was seen to the ledger, whatever it takes, and asks the cluster again where seeing is not enough. */
export class RunUpdater {
  readonly #deps: FollowDeps;
  readonly #known: KnownWorkflows;
  readonly #signal: AbortSignal;
  readonly #telemetry = createFollowTelemetry();

  constructor(deps: FollowDeps, known: KnownWorkflows, signal: AbortSignal) {
    this.#deps = deps;
    this.#known = known;
    this.#signal = signal;
  }

  /** Never rejects. Returns when the batch is written, or when there is no point any more because the signal fired. */
  async write(batch: readonly Observation[]): Promise<void> {
    const unconfirmed = (await this.#observe(batch)).filter(({ effect }) => effect === 'unconfirmed');
    for (const seen of batch) {
      this.#known.note(seen);
    }
    for (const { uid } of unconfirmed) {
      this.#known.forget(uid);
    }
    await this.confirm(unconfirmed);
  }

  /** Asks the cluster for each of these by name and writes what it says: how it is, or that it is gone. Never rejects. */
  async confirm(candidates: readonly Candidate[]): Promise<void> {
    const queue = candidates.values();
    const found: Observation[] = [];
    const lookOn = async (): Promise<void> => {
      for (const candidate of queue) {
        const seen = await this.#look(candidate);
        if (seen !== undefined) {
          found.push(seen);
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(LOOKS_AT_A_TIME, candidates.length) }, lookOn));
    for (let start = 0; start < found.length; start += BATCH) {
      const batch = found.slice(start, start + BATCH);
      await this.#observe(batch);
      for (const seen of batch) {
        this.#known.note(seen);
      }
    }
  }

  async #observe(batch: readonly Observation[]): Promise<Observed[]> {
    for (let attempt = 1; batch.length > 0 && !this.#signal.aborted; attempt += 1) {
      try {
        const observed = await observeWorkflows(this.#deps.db, batch);
        this.#announce(observed.filter(({ effect }) => effect !== 'unconfirmed'));
        return observed;
      } catch (error) {
        const unusable = error instanceof FacteurError && !error.retryable;
        if (unusable) {
          return this.#observeHalves(batch, error);
        }
        this.#deps.logger.warn({ attempt, error: errorMessage(error) }, 'observations could not be written yet');
        await pause(backoffMs(attempt, LEDGER_BACKOFF, this.#deps.random()), this.#signal);
      }
    }
    return [];
  }

  /** One observation that Postgres cannot hold must not keep the others from it. */
  async #observeHalves(batch: readonly Observation[], error: FacteurError): Promise<Observed[]> {
    const [only] = batch;
    if (batch.length === 1) {
      this.#deps.logger.error({ workflow: only?.name, error: errorMessage(error) }, 'observation was dropped');
      return [];
    }
    const middle = Math.ceil(batch.length / 2);
    return [...(await this.#observe(batch.slice(0, middle))), ...(await this.#observe(batch.slice(middle)))];
  }

  #announce(changes: readonly Observed[]): void {
    for (const change of changes) {
      const { runId, name, from, to, traceparent, effect } = change;
      if (effect === 'moved') {
        this.#deps.logger.info({ ...traceField(traceparent), runId, workflow: name, from, to }, 'run moved');
        this.#telemetry.moved(change);
      }
    }
    if (changes.length > 0) {
      this.#deps.onChanged?.(changes);
    }
  }

  /** The workflow as it is now, or nothing when the cluster would not say: whoever asked will come to ask again. */
  async #look(candidate: Candidate): Promise<Observation | undefined> {
    const { workflows, logger, random } = this.#deps;
    for (let attempt = 1; !this.#signal.aborted; attempt += 1) {
      try {
        const found = await workflows.getWorkflow(candidate.namespace, candidate.name, { signal: this.#signal });
        const seen = observe(found);
        return isSame(seen, candidate) ? { ...seen, confirmed: true } : gone(candidate);
      } catch (error) {
        if (isArgoError(error, 'argo.not_found')) {
          return gone(candidate);
        }
        if (attempt === LOOK_TRIES) {
          logger.warn({ workflow: candidate.name, error: errorMessage(error) }, 'workflow could not be looked at');
          return undefined;
        }
        await pause(backoffMs(attempt, LOOK_BACKOFF, random()), this.#signal);
      }
    }
    return undefined;
  }
}

function isSame(seen: Observation, candidate: Candidate): boolean {
  return candidate.uid === ''
    ? candidate.deliveryLabel !== '' && seen.deliveryLabel === candidate.deliveryLabel
    : seen.uid === candidate.uid;
}

function gone({ namespace, name, uid, deliveryLabel }: Candidate): Observation {
  return {
    namespace,
    name,
    uid,
    deliveryLabel,
    version: undefined,
    state: 'lost',
    progress: '',
    reason: VANISHED,
    startedAt: undefined,
    finishedAt: undefined,
    resources: {},
    confirmed: true,
  };
}
