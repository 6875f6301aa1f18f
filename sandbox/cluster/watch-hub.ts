import type { ServerResponse } from 'node:http';
import { ApiFailure, expired, internal } from './api-failure.ts';
import { parseInteger, parseVersion, type ListQuery } from './lists.ts';
import { parseFieldSelector, parseSelector } from './selector.ts';
import type { Store, StoreEvent } from './store.ts';
import { Watcher } from './watcher.ts';

/** In reorder mode events are held this long, so there is something to reorder. */
const REORDER_HOLD_MS = 50;

export type ExpiryForm = 'http' | 'event';

/** All open watches. Each event is offered to every watch. Each watch writes once per turn of the event loop. */
export class WatchHub {
  readonly #store: Store;
  readonly #watchers = new Set<Watcher>();
  readonly #bookmarkTimer: NodeJS.Timeout;
  #flushing: NodeJS.Timeout | NodeJS.Immediate | undefined;
  #silence: NodeJS.Timeout | undefined;
  #truncateNext = false;
  #expireNext: { form: ExpiryForm; times: number } = { form: 'event', times: 0 };
  /** Send every event twice, or each batch in reverse. */
  duplicate = false;
  reorder = false;

  constructor(store: Store, bookmarkIntervalMs: number) {
    this.#store = store;
    store.onCommit((event) => {
      this.#publish(event);
    });
    this.#bookmarkTimer = setInterval(() => {
      this.#sendBookmarks();
    }, bookmarkIntervalMs).unref();
  }

  get size(): number {
    return this.#watchers.size;
  }

  /** Answers a watch request; throws ApiFailure while nothing was written. */
  open({ resource, namespace, query }: ListQuery, response: ServerResponse): void {
    const requirements = parseSelector(query.get('labelSelector') ?? '');
    const bookmarks = isTrue(query.get('allowWatchBookmarks'));
    const fields = parseFieldSelector(query.get('fieldSelector') ?? '');
    const version = parseWatchVersion(query.get('resourceVersion'));
    const timeoutSeconds = parseInteger(query.get('timeoutSeconds') ?? '0');
    const expiry = this.#takeExpiry();
    if (expiry === 'http') {
      throw expired(`too old resource version: ${version ?? 0} (${this.#store.version})`);
    }
    const watcher = new Watcher(response, {
      resource,
      namespace,
      requirements,
      fields,
      bookmarks,
      after: version ?? 0,
    });
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
    response.flushHeaders();
    if (expiry === 'event') {
      watcher.fail(expired(`too old resource version: ${version ?? 0} (${this.#store.version})`));
      return;
    }
    this.#start(watcher, version);
    this.#endAfter(watcher, timeoutSeconds, response);
  }

  /** Ends every watch: normally, or by a reset of the connection. */
  dropAll(how: 'end' | 'reset'): void {
    for (const watcher of this.#watchers) {
      if (how === 'end') {
        watcher.end();
      } else {
        watcher.reset();
      }
    }
    this.#watchers.clear();
  }

  /** Cuts the next line of every watch in the middle and ends the connection. */
  truncateNext(): void {
    this.#truncateNext = true;
  }

  /** The next watches get an expired version. */
  expireNext(form: ExpiryForm, times: number): void {
    this.#expireNext = { form, times };
  }

  /** Holds back all output for a while, then writes it. */
  silence(ms: number): void {
    clearTimeout(this.#silence);
    this.#silence = undefined;
    if (ms > 0) {
      this.#silence = setTimeout(() => {
        this.#silence = undefined;
        this.#flush();
      }, ms).unref();
    } else {
      this.#flush();
    }
  }

  /** Removes all disturbances; open watches stay. */
  calm(): void {
    this.duplicate = false;
    this.reorder = false;
    this.#truncateNext = false;
    this.#expireNext = { form: 'event', times: 0 };
    this.silence(0);
  }

  close(): void {
    clearInterval(this.#bookmarkTimer);
    clearTimeout(this.#silence);
    this.dropAll('reset');
  }

  #start(watcher: Watcher, version: number | undefined): void {
    if (version === undefined || version === 0) {
      for (const entry of this.#store.snapshot(watcher.resource, this.#store.version)) {
        watcher.offerInitial(entry);
      }
    } else {
      try {
        for (const event of this.#store.eventsAfter(version)) {
          this.#offer(watcher, event);
        }
      } catch (error) {
        // The real apiserver has already started its answer, so it reports an expired version as an event.
        if (!(error instanceof ApiFailure)) {
          throw error;
        }
        watcher.fail(error);
        return;
      }
    }
    this.#watchers.add(watcher);
    this.#scheduleFlush();
  }

  #endAfter(watcher: Watcher, seconds: number, response: ServerResponse): void {
    const timer =
      seconds > 0
        ? setTimeout(() => {
            watcher.offerBookmark(this.#store.version);
            this.#flushOne(watcher);
            this.#watchers.delete(watcher);
            watcher.end();
          }, seconds * 1000).unref()
        : undefined;
    response.on('close', () => {
      clearTimeout(timer);
      this.#watchers.delete(watcher);
    });
  }

  #publish(event: StoreEvent): void {
    let heard = false;
    for (const watcher of this.#watchers) {
      heard = this.#offer(watcher, event) || heard;
    }
    if (heard) {
      this.#scheduleFlush();
    }
  }

  #offer(watcher: Watcher, event: StoreEvent): boolean {
    return event.resource === watcher.resource && watcher.offer(event);
  }

  #sendBookmarks(): void {
    for (const watcher of this.#watchers) {
      watcher.offerBookmark(this.#store.version);
    }
    this.#scheduleFlush();
  }

  #scheduleFlush(): void {
    if (this.#flushing !== undefined) {
      return;
    }
    const run = (): void => {
      this.#flushing = undefined;
      this.#flush();
    };
    this.#flushing = this.reorder ? setTimeout(run, REORDER_HOLD_MS).unref() : setImmediate(run);
  }

  #flush(): void {
    const before = this.#watchers.size;
    for (const watcher of this.#watchers) {
      this.#flushOne(watcher);
    }
    this.#truncateNext &&= this.#watchers.size === before;
  }

  #flushOne(watcher: Watcher): void {
    if (this.#silence !== undefined) {
      return;
    }
    const alive = watcher.flush({ duplicate: this.duplicate, reorder: this.reorder, truncate: this.#truncateNext });
    if (!alive) {
      this.#watchers.delete(watcher);
    }
  }

  #takeExpiry(): ExpiryForm | undefined {
    if (this.#expireNext.times <= 0) {
      return undefined;
    }
    this.#expireNext.times -= 1;
    return this.#expireNext.form;
  }
}

/** Parses the version; the real server fails for an invalid one in an unexpected place. */
function parseWatchVersion(text: string | null): number | undefined {
  try {
    return parseVersion(text);
  } catch (error) {
    throw error instanceof ApiFailure ? internal(error.message) : error;
  }
}

/** Go's `strconv.ParseBool` for the values that clients use. */
export function isTrue(text: string | null): boolean {
  return text === '1' || text === 't' || text === 'T' || text?.toLowerCase() === 'true';
}
