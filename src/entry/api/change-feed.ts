import { Readable } from 'node:stream';
import type { Logger } from '../../base/logger.ts';
import type { Timer } from '../../base/timer.ts';
import { within } from '../../base/within.ts';
import { Worker } from '../../base/worker.ts';
import type { Database } from '../../clients/postgres/database.ts';
import { databaseTime, isNewer, listChangedRuns, type ChangedRun, type RunVersion } from '../../ledger/run-changes.ts';
import { ChangeLog, type LoggedChange } from './change-log.ts';
import { ApiProblem } from './problem.ts';

interface ChangeFeedDeps {
  readonly db: Database;
  readonly logger: Logger;
  /** Times the heartbeats. */
  readonly timer: Timer;
}

/** Maximum number of concurrent streams in this process. */
export const MAX_STREAMS = 100;
/** How far a client may fall behind before its stream ends, in characters: about 4,000 changes. */
export const MAX_BACKLOG = 4 * 2 ** 20;
/** Maximum number of characters written to a connection at once. */
const CHUNK = 65_536;
/** Maximum number of rows read at once. */
const PAGE = 100;
/** Proxies close connections that are silent for a minute. */
export const HEARTBEAT_MS = 15_000;
/** How often the ledger is queried without announced changes, and the minimum time between two queries. */
const POLL_MS = 1_000;
const SPACING_MS = 250;
/** One second in microseconds. */
const SECOND = 1_000_000;
/**
 * A change has the time at which its statement began, and becomes visible when the statement ends, so each read starts earlier
 * than the previous one ended. Statements rarely take a second, and never longer than their timeout of 10 s: an occasional longer
 * overlap finds the rest.
 */
const OVERLAP = SECOND;
const LONG_OVERLAP = 15 * SECOND;
const LONG_LOOK_MS = 5_000;

/** The state of one stream: its position, and how to wake or end it. */
interface Watcher {
  place: number;
  wake: () => void;
  cutOff: () => void;
}

/**
 * The changes of all runs as server-sent events. One worker queries the ledger for all watchers, and rests if there are none.
 * Each event is the current state of a run, and each version of a run is sent once.
 */
export class ChangeFeed {
  readonly #deps: ChangeFeedDeps;
  readonly #worker: Worker;
  #log = new ChangeLog(MAX_BACKLOG);
  readonly #watchers = new Set<Watcher>();
  /** The versions that an overlapping read may return again. */
  readonly #seen = new Map<string, RunVersion>();
  /** The time of the latest change so far, in microseconds. */
  #position = 0;
  #longLookAt = -Infinity;
  /** Set while there are watchers: the initial state has been read. */
  #begun: Promise<void> | undefined;

  constructor(deps: ChangeFeedDeps) {
    this.#deps = deps;
    this.#worker = new Worker({
      name: 'changes',
      logger: deps.logger,
      pass: () => this.#pass(),
      failureDelayMs: 5_000,
      spacingMs: () => SPACING_MS,
    });
  }

  /** Starts the worker, which follows the ledger once there is a watcher. */
  start(delayMs = 0): void {
    this.#worker.start(delayMs);
  }

  /** Something may have changed. */
  nudge(): void {
    this.#worker.nudge();
  }

  async stop(): Promise<void> {
    await this.#worker.stop();
  }

  /**
   * Opens a stream, which ends when `signal` fires or its client falls behind.
   *
   * @param after the id of the last event that the client has; without it, changes from now on
   * @throws ApiProblem 503 `too_many_streams`, or DatabaseError
   */
  async open(after: number | undefined, signal: AbortSignal): Promise<Readable> {
    if (this.#watchers.size >= MAX_STREAMS) {
      const detail = `there are already ${MAX_STREAMS} streams`;
      throw new ApiProblem(503, 'too_many_streams', detail, { headers: { 'retry-after': '5' } });
    }
    const watcher: Watcher = { place: 0, wake: () => undefined, cutOff: () => undefined };
    this.#watchers.add(watcher);
    const leave = (): void => void this.#watchers.delete(watcher);
    try {
      await (this.#begun ??= this.#begin());
    } catch (error) {
      leave();
      throw error;
    }
    if (signal.aborted) {
      leave();
      return Readable.from([]);
    }
    watcher.place = this.#log.end;
    const stream = Readable.from(this.#events(watcher, after, signal));
    watcher.cutOff = () => stream.destroy();
    stream.once('close', leave);
    signal.addEventListener('abort', () => {
      leave();
      watcher.wake();
    });
    this.#worker.nudge();
    return stream;
  }

  async *#events(watcher: Watcher, after: number | undefined, signal: AbortSignal): AsyncGenerator<string> {
    // Even a client that receives nothing before it reconnects knows where to resume.
    yield `retry: 3000\nid: ${after ?? this.#position}\n\n`;
    const sent = new Map<string, RunVersion>();
    if (after !== undefined) {
      yield* this.#missed(after, sent, signal);
    }
    while (!signal.aborted && this.#log.reaches(watcher.place)) {
      const changes = this.#log.read(watcher.place, CHUNK);
      watcher.place += changes.length;
      if (changes.length > 0) {
        const news = changes.filter(({ runId, version }) => isNewer(version, sent.get(runId)));
        yield news.map(({ text }) => text).join('');
      } else if (!(await this.#wokenInTime(watcher, signal))) {
        yield ':\n\n';
      }
    }
  }

  async #wokenInTime(watcher: Watcher, signal: AbortSignal): Promise<boolean> {
    const woken = new Promise<void>((resolve) => {
      watcher.wake = resolve;
    });
    // Both may have happened before the promise existed.
    if (signal.aborted || watcher.place < this.#log.end) {
      return true;
    }
    return (await within(this.#deps.timer, HEARTBEAT_MS, () => woken)).inTime;
  }

  /** The changes that a client missed, from the ledger. @param sent filled with changes that the log may contain too */
  async *#missed(after: number, sent: Map<string, RunVersion>, signal: AbortSignal): AsyncGenerator<string> {
    const recently = this.#position - LONG_OVERLAP;
    for await (const page of pagesOf(this.#deps.db, after - LONG_OVERLAP)) {
      if (signal.aborted) {
        return;
      }
      for (const change of page) {
        if (change.changedAt > recently) {
          sent.set(change.run.runId, change);
        }
      }
      yield page.map((change) => toEvent(change, Math.max(after, change.changedAt))).join('');
    }
  }

  /** Reads the current state, so that only later changes are sent. */
  async #begin(): Promise<void> {
    try {
      this.#position = await databaseTime(this.#deps.db);
      this.#longLookAt = this.#deps.timer.elapsedMs();
      await this.#look(LONG_OVERLAP);
    } catch (error) {
      this.#begun = undefined;
      throw error;
    }
  }

  async #pass(): Promise<number> {
    if (this.#watchers.size === 0) {
      this.#begun = undefined;
      this.#seen.clear();
      this.#log = new ChangeLog(MAX_BACKLOG);
      return Infinity;
    }
    if (this.#begun === undefined) {
      return Infinity;
    }
    await this.#begun;
    const now = this.#deps.timer.elapsedMs();
    const isLong = now - this.#longLookAt >= LONG_LOOK_MS;
    await this.#look(isLong ? LONG_OVERLAP : OVERLAP, (news) => {
      this.#log.append(news);
      this.#tellWatchers();
    });
    if (isLong) {
      this.#longLookAt = now;
      this.#forget();
    }
    return POLL_MS;
  }

  /** Reads changes and passes them on page by page, so fast watchers keep up even under heavy load. */
  async #look(overlap: number, onNews?: (news: readonly LoggedChange[]) => void): Promise<void> {
    for await (const page of pagesOf(this.#deps.db, this.#position - overlap)) {
      const news = page.filter((change) => isNewer(change, this.#seen.get(change.run.runId)));
      const logged = news.map((change) => {
        const { run, revision, changedAt } = change;
        const version = { revision, changedAt };
        this.#seen.set(run.runId, version);
        this.#position = Math.max(this.#position, changedAt);
        return { runId: run.runId, version, text: toEvent(change, this.#position) };
      });
      onNews?.(logged);
    }
  }

  /** Forgets versions older than any overlap. */
  #forget(): void {
    for (const [runId, { changedAt }] of this.#seen) {
      if (changedAt <= this.#position - LONG_OVERLAP) {
        this.#seen.delete(runId);
      }
    }
  }

  #tellWatchers(): void {
    for (const watcher of this.#watchers) {
      if (this.#log.reaches(watcher.place)) {
        watcher.wake();
      } else {
        // The client does not read, so closing the connection is the only signal.
        watcher.cutOff();
      }
    }
  }
}

async function* pagesOf(db: Database, from: number): AsyncGenerator<readonly ChangedRun[]> {
  let after = { changedAt: from, runId: '' };
  for (let isLast = false; !isLast;) {
    const page = await listChangedRuns(db, after, PAGE);
    const last = page.at(-1);
    isLast = last === undefined || page.length < PAGE;
    if (last !== undefined) {
      yield page;
      after = { changedAt: last.changedAt, runId: last.run.runId };
    }
  }
}

/** @param position from which a client with this event resumes */
function toEvent({ run }: ChangedRun, position: number): string {
  return `id: ${position}\nevent: run\ndata: ${JSON.stringify(run)}\n\n`;
}
