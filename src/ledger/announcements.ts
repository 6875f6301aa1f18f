import { setTimeout } from 'node:timers/promises';
import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { outsideOfTraces } from '../base/telemetry.ts';
import type { Queryable } from '../clients/postgres/database.ts';

/** Where submitters hear that a run may be due. */
export const SUBMIT_CHANNEL = 'facteur_submit';
/** Where notifiers hear that a message may be due. */
export const MESSAGE_CHANNEL = 'facteur_messages';

/**
 * Tells every process, this one too, that there may be something to do. Resolves when it is said, or could not be: it is
 * in the ledger what is to be done, and the sweep finds it. Nobody has to wait for that.
 */
export interface Announcements {
  runsDue(): Promise<void>;
  messagesDue(): Promise<void>;
  /** Says at once what is still to be said: before the database is closed. */
  flush(): Promise<void>;
}

/** One kind of announcement. */
interface Announcer {
  announce(): Promise<void>;
  flush(): Promise<void>;
}

/** Least time between two announcements of one kind, in milliseconds. */
const SPACING_MS = 50;

/**
 * Announces by NOTIFY, in statements of its own: in the transactions that it is about it would make all of them commit
 * one after the other, for PostgreSQL keeps notifications in the order of commits. What is announced while the last one
 * is on its way, or shortly after it, goes with the next.
 */
export function createAnnouncements(db: Queryable, logger: Logger): Announcements {
  const [runs, messages] = [createAnnouncer(db, SUBMIT_CHANNEL, logger), createAnnouncer(db, MESSAGE_CHANNEL, logger)];
  return {
    runsDue: () => runs.announce(),
    messagesDue: () => messages.announce(),
    flush: async () => {
      await Promise.all([runs.flush(), messages.flush()]);
    },
  };
}

function createAnnouncer(db: Queryable, channel: string, logger: Logger): Announcer {
  let next: Promise<void> | undefined;
  /** What was said last, and the pause after it. */
  let last: Promise<void> = Promise.resolve();
  let pause = Promise.resolve();
  const hurry = new AbortController();
  const announce = async (): Promise<void> => {
    await pause;
    next = undefined;
    last = say(db, channel, logger);
    pause = last.then(() => shortPause(hurry.signal));
    await last;
  };
  return {
    announce: () => (next ??= announce()),
    flush: async () => {
      hurry.abort();
      await (next ?? last);
    },
  };
}

async function shortPause(signal: AbortSignal): Promise<void> {
  // Rejects when there is no time for it.
  await setTimeout(SPACING_MS, undefined, { signal, ref: false }).catch(() => undefined);
}

async function say(db: Queryable, channel: string, logger: Logger): Promise<void> {
  try {
    // It may be said for many.
    await outsideOfTraces(() => db.query({ name: `announce-${channel}`, text: `SELECT pg_notify('${channel}', '')` }));
  } catch (error) {
    logger.info({ channel, error: errorMessage(error) }, 'nobody could be told; the next sweep finds it');
  }
}
