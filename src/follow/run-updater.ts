import { backoffMs, type BackoffLimits } from '../base/backoff.ts';
import { errorMessage, FacteurError } from '../base/errors.ts';
import { isArgoError } from '../clients/argo/errors.ts';
import type { RunState } from '../domain/run-state.ts';
import { recordWaiting } from '../ledger/approvals.ts';
import type { Observation, Observed } from '../ledger/observe-workflows.ts';
import { ObservationWriter } from '../ledger/observation-writer.ts';
import { distrustRestarted } from '../ledger/reflection-standing.ts';
import type { FollowDeps, FollowSignals } from './deps.ts';
import type { FollowEvents } from './follow-events.ts';
import type { KnownWorkflows } from './known-workflows.ts';
import { observe } from './observe.ts';
import { pause } from '../base/timer.ts';

/** A workflow to read. Without a uid it is identified by its delivery label. */
export type Sighting = Pick<Observation, 'namespace' | 'name' | 'uid' | 'deliveryLabel'>;

export const VANISHED = 'the workflow disappeared before facteur saw how it ended';
/** Maximum number of observations per statement. */
export const BATCH = 500;

const LOOK_BACKOFF: BackoffLimits = { firstMs: 200, maxMs: 2_000 };
const LOOK_TRIES = 3;
const LOOKS_AT_A_TIME = 8;

/**
 * Writes observations to the ledger, retrying as needed, and reads workflows again where an observation is not
 * enough.
 */
export class RunUpdater {
  readonly #deps: FollowDeps;
  readonly #known: KnownWorkflows;
  readonly #signal: AbortSignal;
  readonly #events: FollowEvents;
  readonly #writer: ObservationWriter;

  constructor(deps: FollowDeps, events: FollowEvents, known: KnownWorkflows, { watch, write }: FollowSignals) {
    this.#deps = deps;
    this.#events = events;
    this.#known = known;
    this.#signal = watch;
    this.#writer = new ObservationWriter({ ...deps, signal: write, durability: 'durable' });
  }

  /** Never rejects. Returns when the batch is written, or when an attempt fails after the signal fired. */
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

  /** Reads each of these workflows by name and writes its state, or that it is gone. Never rejects. */
  async confirm(candidates: readonly (Sighting | Observed)[]): Promise<void> {
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
      // Before the move, so a crash cannot skip it; #observe repeats it after the move, because a person or facteur may trust
      // them again until then.
      await this.#distrust(restartedAmong(candidates, batch));
      await this.#observe(batch);
      for (const seen of batch) {
        this.#known.noteWaiting(seen);
      }
    }
  }

  async #observe(batch: readonly Observation[]): Promise<readonly Observed[]> {
    const observed = (await this.#writer.write(batch)) ?? [];
    this.#announce(observed.filter(({ effect }) => effect !== 'unconfirmed'));
    await this.#distrust(observed.filter(({ effect, from, to }) => effect === 'moved' && succeedsNoMore(from, to)));
    await this.#recordWaiting(batch.filter((seen) => this.#known.concernsPeople(seen)));
    return observed;
  }

  async #distrust(restarted: readonly Observed[]): Promise<void> {
    if (restarted.length > 0) {
      const runIds = restarted.map(({ runId }) => runId);
      const failed = await this.#writer.persist(() => distrustRestarted(this.#deps.db, runIds));
      if (failed instanceof FacteurError) {
        this.#deps.logger.error(
          { runIds, error: failed.message },
          'could not distrust what runs taught that run again',
        );
      }
    }
  }

  /**
   * A separate statement, which costs nothing for workflows that never wait. If Postgres cannot store one observation, the others
   * are still recorded.
   */
  async #recordWaiting(concerned: readonly Observation[]): Promise<void> {
    if (concerned.length === 0) {
      return;
    }
    const seen = concerned.map(({ waiting = [], ...rest }) => ({ ...rest, waiting }));
    const changes = await this.#writer.persist(() => recordWaiting(this.#deps.db, seen));
    if (changes instanceof FacteurError && concerned.length > 1) {
      const middle = Math.ceil(concerned.length / 2);
      await this.#recordWaiting(concerned.slice(0, middle));
      await this.#recordWaiting(concerned.slice(middle));
    } else if (changes instanceof FacteurError) {
      const workflow = concerned[0]?.name;
      this.#deps.logger.error({ workflow, error: changes.message }, 'could not record what a workflow waits for');
    } else if (changes !== undefined && changes.length > 0) {
      this.#deps.onWaiting?.(changes);
    }
  }

  #announce(changes: readonly Observed[]): void {
    for (const change of changes) {
      if (change.effect === 'moved') {
        this.#events.runMoved(change);
      }
      if (change.effect === 'unwanted') {
        this.#events.workflowLate(change);
      }
    }
    if (changes.length > 0) {
      this.#deps.onChanged?.(changes);
    }
  }

  /** The current workflow, or undefined if the cluster does not answer: the caller will ask again. */
  async #look(candidate: Sighting): Promise<Observation | undefined> {
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
          logger.warn({ workflow: candidate.name, error: errorMessage(error) }, 'could not read the workflow');
          return undefined;
        }
        await pause(backoffMs(attempt, LOOK_BACKOFF, random()), this.#signal);
      }
    }
    return undefined;
  }
}

function succeedsNoMore(from: RunState, to: RunState): boolean {
  return from === 'succeeded' && to !== 'succeeded' && to !== 'lost';
}

/** The runs that had succeeded and whose workflows run again, or did. */
function restartedAmong(candidates: readonly (Sighting | Observed)[], batch: readonly Observation[]): Observed[] {
  const states = new Map(batch.map(({ uid, state }) => [uid, state]));
  return candidates
    .filter((candidate) => 'runId' in candidate)
    .filter(({ from, uid }) => succeedsNoMore(from, states.get(uid) ?? 'lost'));
}

function isSame(seen: Observation, candidate: Sighting): boolean {
  return candidate.uid === ''
    ? candidate.deliveryLabel !== '' && seen.deliveryLabel === candidate.deliveryLabel
    : seen.uid === candidate.uid;
}

function gone({ namespace, name, uid, deliveryLabel }: Sighting): Observation {
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
