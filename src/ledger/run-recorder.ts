import { AsyncLocalStorage } from 'node:async_hooks';
import { DatabaseError, type Database } from '../clients/postgres/database.ts';
import type { NewRun, RunReceipt } from '../domain/run.ts';
import { recordRun, recordTogether, type RecordRequest } from './record-run.ts';

/** Records runs for all doors of a process. */
export interface RunRecorder {
  /**
   * Remembers a run; durable when it resolves. As {@link recordRun}, but runs that have to wait for each other anyway
   * share a statement.
   *
   * @param givenUp nobody waits for it any more when this fires: if its turn has not come by then, it is not recorded
   * @throws DatabaseError `postgres.unavailable` (try again) or `postgres.invalid` (text that Postgres cannot hold)
   */
  record(run: NewRun, claim: boolean, givenUp?: AbortSignal): Promise<RunReceipt>;
}

interface Waiting extends RecordRequest {
  readonly givenUp: AbortSignal | undefined;
  readonly inContext: <T>(work: () => T) => T;
  readonly resolve: (receipt: RunReceipt) => void;
  readonly reject: (error: unknown) => void;
  readonly expiry: NodeJS.Timeout;
}

export interface RecorderLimits {
  /** Statements under way at a time: while some wait for the disk, others are executed. */
  readonly statements: number;
  /** Runs in one statement. */
  readonly runs: number;
  /** Characters in one statement; a run that is larger has one of its own. */
  readonly characters: number;
  /** Longest wait for a turn, in milliseconds. */
  readonly waitMs: number;
}

const LIMITS: RecorderLimits = { statements: 4, runs: 64, characters: 4 * 2 ** 20, waitMs: 5_000 };

/**
 * While few runs arrive each has a statement of its own and waits for nothing. When more arrive than statements may be
 * under way, those that wait go together: the busier it is, the less each costs (one flush to disk, one executor start).
 */
export function createRunRecorder(db: Database, limits: RecorderLimits = LIMITS): RunRecorder {
  let waiting: Waiting[] = [];
  let underWay = 0;

  const next = (): void => {
    while (underWay < limits.statements && waiting.length > 0) {
      const [chosen, rest] = choose(waiting.filter(stillWanted), limits);
      waiting = rest;
      chosen.forEach(({ expiry }) => clearTimeout(expiry));
      if (chosen.length === 0) {
        return;
      }
      underWay += 1;
      // In the trace of the first of them, rather than of whoever happened to make room.
      void chosen[0]
        ?.inContext(() => recordChosen(db, chosen))
        .finally(() => {
          underWay -= 1;
          next();
        });
    }
  };

  return {
    record(run, claim, givenUp) {
      return new Promise((resolve, reject) => {
        const expiry = setTimeout(() => {
          waiting = waiting.filter((entry) => entry !== mine);
          reject(new DatabaseError('postgres.unavailable', 'too many runs wait to be recorded', { retryable: true }));
        }, limits.waitMs);
        const inContext = AsyncLocalStorage.snapshot();
        const mine: Waiting = { run, claim, givenUp, inContext, resolve, reject, expiry };
        waiting.push(mine);
        next();
      });
    },
  };
}

/** Whoever was told that nothing came of it must not have it recorded, if that can still be helped. */
function stillWanted({ givenUp, expiry, reject }: Waiting): boolean {
  if (givenUp?.aborted !== true) {
    return true;
  }
  clearTimeout(expiry);
  reject(new DatabaseError('postgres.unavailable', 'nobody waits for it any more', { retryable: true }));
  return false;
}

/** The first ones that may share a statement: no row of it is written twice. The others keep their order. */
function choose(waiting: readonly Waiting[], limits: RecorderLimits): readonly [Waiting[], Waiting[]] {
  if (waiting.length === 1) {
    // As nearly always: there is nothing to compare it with.
    return [[...waiting], []];
  }
  const keys = new Set<string>();
  const chosen: Waiting[] = [];
  const passed: Waiting[] = [];
  let characters = 0;
  for (const [place, entry] of waiting.entries()) {
    characters += JSON.stringify(entry.run).length;
    if (chosen.length === limits.runs || (chosen.length > 0 && characters > limits.characters)) {
      return [chosen, [...passed, ...waiting.slice(place)]];
    }
    const { deliveryId, idea } = entry.run;
    const mine = [`delivery ${deliveryId}`, `idea ${JSON.stringify([idea.sourceType, idea.sourceRef])}`];
    const clashes = mine.some((key) => keys.has(key));
    mine.forEach((key) => keys.add(key));
    (clashes ? passed : chosen).push(entry);
  }
  return [chosen, passed];
}

/** Never rejects: each learns what became of its own. */
async function recordChosen(db: Database, chosen: readonly Waiting[]): Promise<void> {
  if (chosen.length === 1) {
    return recordAlone(db, chosen);
  }
  try {
    const receipts = await recordTogether(db, chosen);
    receipts.forEach((receipt, place) => receipt && chosen[place]?.resolve(receipt));
    return await recordAlone(
      db,
      chosen.filter((_, place) => receipts[place] === undefined),
    );
  } catch (error) {
    if (error instanceof DatabaseError && error.code === 'postgres.unavailable') {
      return chosen.forEach(({ reject }) => reject(error));
    }
    // Whichever spoiled it, its neighbours shall not suffer for it.
    return recordAlone(db, chosen);
  }
}

async function recordAlone(db: Database, chosen: readonly Waiting[]): Promise<void> {
  let gone: DatabaseError | undefined;
  for (const entry of chosen) {
    if (gone !== undefined) {
      // Each would wait for the same database to answer.
      entry.reject(gone);
      continue;
    }
    try {
      entry.resolve(await recordRun(db, entry));
    } catch (error) {
      entry.reject(error);
      gone = error instanceof DatabaseError && error.code === 'postgres.unavailable' ? error : undefined;
    }
  }
}
