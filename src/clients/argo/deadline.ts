import { unlessAborted } from '../../base/within.ts';

/** A time limit and the caller's signal in one signal that still tells which of the two fired. */
export interface Deadline {
  readonly signal: AbortSignal;
  readonly timedOut: boolean;
  /** The caller's signal fired. */
  readonly aborted: boolean;
  /** Restarts the timer: there was activity. */
  restart(): void;
  /** Pauses the timer until `restart`: no activity is expected. */
  pause(): void;
  /** Rejects as soon as the deadline fires, for work that takes no signal. */
  race<T>(work: Promise<T>): Promise<T>;
  stop(): void;
}

/** Callers must call `stop()`, else the timer keeps running and the caller's signal keeps a listener. */
export function startDeadline(timeoutMs: number, outer?: AbortSignal): Deadline {
  const controller = new AbortController();
  let timedOut = false;
  let paused = false;
  const expire = (): void => {
    if (!paused) {
      timedOut = true;
      controller.abort(new Error('deadline passed'));
    }
  };
  const timer = setTimeout(expire, timeoutMs);
  const onAbort = (): void => {
    clearTimeout(timer);
    controller.abort(outer?.reason);
  };
  if (outer?.aborted === true) {
    onAbort();
  } else {
    outer?.addEventListener('abort', onAbort, { once: true });
  }
  return {
    signal: controller.signal,
    get timedOut() {
      return timedOut;
    },
    get aborted() {
      return !timedOut && controller.signal.aborted;
    },
    restart: () => {
      paused = false;
      if (!controller.signal.aborted) {
        timer.refresh();
      }
    },
    pause: () => {
      paused = true;
    },
    race: (work) => unlessAborted(work, controller.signal),
    stop: () => {
      clearTimeout(timer);
      outer?.removeEventListener('abort', onAbort);
    },
  };
}
