import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
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
}

/** Least time between two announcements of one kind, in milliseconds. */
const SPACING_MS = 50;

/**
 * Announces by NOTIFY, in statements of its own: in the transactions that it is about it would make all of them commit
 * one after the other, for PostgreSQL keeps notifications in the order of commits. What is announced while the last one
 * is on its way, or shortly after it, goes with the next.
 */
export function createAnnouncements(db: Queryable, logger: Logger): Announcements {
  return {
    runsDue: announcer(db, SUBMIT_CHANNEL, logger),
    messagesDue: announcer(db, MESSAGE_CHANNEL, logger),
  };
}

function announcer(db: Queryable, channel: string, logger: Logger): () => Promise<void> {
  let next: Promise<void> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const announce = async (): Promise<void> => {
    await last;
    next = undefined;
    const said = say(db, channel, logger);
    last = said.then(() => new Promise((resolve) => setTimeout(resolve, SPACING_MS).unref()));
    await said;
  };
  return () => (next ??= announce());
}

async function say(db: Queryable, channel: string, logger: Logger): Promise<void> {
  try {
    await db.query({ name: `announce-${channel}`, text: `SELECT pg_notify('${channel}', '')` });
  } catch (error) {
    logger.info({ channel, error: errorMessage(error) }, 'nobody could be told; the next sweep finds it');
  }
}
