import { isFinished, type RunState } from '../domain/run-state.ts';
import type { Observation } from '../ledger/observe-workflows.ts';

/**
 * What the ledger was last told of each workflow that is not over: two numbers and two words each. It saves a statement
 * for each of the many events that change nothing a run shows; were it lost or wrong, the ledger would still be right.
 */
export class KnownWorkflows {
  readonly #byUid = new Map<string, Pick<Observation, 'version' | 'state' | 'progress'>>();

  get size(): number {
    return this.#byUid.size;
  }

  isNews(seen: Observation): boolean {
    const known = this.#byUid.get(seen.uid);
    if (known === undefined) {
      return true;
    }
    if (known.version !== undefined && seen.version !== undefined && seen.version <= known.version) {
      return false;
    }
    return known.state !== seen.state || (seen.state === 'running' && known.progress !== seen.progress);
  }

  stateOf(uid: string): RunState | undefined {
    return this.#byUid.get(uid)?.state;
  }

  /** Remembers what was applied; of an end nothing is remembered. */
  note({ uid, version, state, progress }: Observation): void {
    if (isFinished(state)) {
      this.#byUid.delete(uid);
    } else {
      this.#byUid.set(uid, { version, state, progress });
    }
  }

  forget(uid: string): void {
    this.#byUid.delete(uid);
  }

  forgetAllBut(uids: ReadonlySet<string>): void {
    for (const uid of this.#byUid.keys()) {
      if (!uids.has(uid)) {
        this.#byUid.delete(uid);
      }
    }
  }
}
