import { isFinished, type RunState } from '../domain/run-state.ts';
import type { Observation } from '../ledger/observe-workflows.ts';

type Known = Pick<Observation, 'version' | 'state' | 'progress'> & { readonly step: string; readonly keys: string };

/**
 * The last state that the ledger received for each live workflow: two numbers and a few words each. It saves a
 * statement for each of the many events that change nothing visible. If it is lost or wrong, the ledger is still
 * correct.
 */
export class KnownWorkflows {
  readonly #byUid = new Map<string, Known>();
  /** The uids of workflows that wait for a person, as far as the ledger knows. */
  readonly #waiting = new Set<string>();

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
    return known.state !== seen.state || (!isFinished(seen.state) && isFurther(seen, known));
  }

  stateOf(uid: string): RunState | undefined {
    return this.#byUid.get(uid)?.state;
  }

  /** Remembers what was applied; forgets ended workflows. */
  note(seen: Observation): void {
    const { uid, version, state, progress, step = '' } = seen;
    if (isFinished(state)) {
      this.#byUid.delete(uid);
    } else {
      this.#byUid.set(uid, { version, state, progress, step, keys: keysOf(seen) });
    }
    this.noteWaiting(seen);
  }

  /** Records only whether the workflow waits: a workflow that had to be read may not send an event. */
  noteWaiting({ uid, waiting = [] }: Pick<Observation, 'uid' | 'waiting'>): void {
    if (waiting.length === 0) {
      this.#waiting.delete(uid);
    } else {
      this.#waiting.add(uid);
    }
  }

  /** Whether the ledger needs to know what this workflow waits for: it waits, or did. */
  concernsPeople({ uid, waiting = [] }: Observation): boolean {
    return waiting.length > 0 || this.#waiting.has(uid);
  }

  /** Records workflows that wait according to the ledger. */
  expectWaiting(uids: readonly string[]): void {
    uids.forEach((uid) => this.#waiting.add(uid));
  }

  forget(uid: string): void {
    this.#byUid.delete(uid);
  }

  /** From now on, any different state is news, whatever its version: a cluster restored from a backup reuses version numbers. */
  forgetVersions(): void {
    for (const [uid, known] of this.#byUid) {
      this.#byUid.set(uid, { ...known, version: undefined });
    }
  }

  forgetAllBut(uids: ReadonlySet<string>): void {
    for (const uid of this.#byUid.keys()) {
      if (!uids.has(uid)) {
        this.#byUid.delete(uid);
      }
    }
  }
}

function keysOf({ waiting = [] }: Observation): string {
  return waiting.map(({ key }) => key).join();
}

/** Whether something visible has changed although the state has not. */
function isFurther(seen: Observation, known: Pick<Known, 'progress' | 'step' | 'keys'>): boolean {
  if (known.step !== (seen.step ?? '')) {
    return true;
  }
  return seen.state === 'running' && (known.progress !== seen.progress || known.keys !== keysOf(seen));
}
