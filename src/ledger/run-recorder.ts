import { context, type Context } from '@opentelemetry/api';
import type { Timer } from '../base/timer.ts';
import { DatabaseError, type Database } from '../clients/postgres/database.ts';
import type { NewRun, RunReceipt } from '../domain/run.ts';
import { prepareRun, recordRun, recordTogether, type PreparedRun, type RecordRequest } from './record-run.ts';

/** Records runs for all doors of a process. */
export interface RunRecorder {
  /**
   * Records a run; durable when it resolves. Like {@link recordRun}, but runs that would wait for each other
   * share a statement.
   *
   * @param givenUp fires when nobody waits for the run any longer: if its turn has not come by then, it is not recorded
   * @throws DatabaseError `postgres.unavailable` (retry) or `postgres.invalid` (text that Postgres cannot store)
   */
  record(run: NewRun, claim: boolean, givenUp?: AbortSignal): Promise<RunReceipt>;
}

interface Waiting extends RecordRequest {
  readonly prepared: PreparedRun;
  readonly givenUp: AbortSignal | undefined;
  /** Its trace. */
  readonly context: Context;
  readonly resolve: (receipt: RunReceipt) => void;
  readonly reject: (error: unknown) => void;
  /** Called when its turn has come, or when it no longer waits. */
  stopTimer: () => void;
}

export interface RecorderLimits {
  /** Maximum number of statements in flight. */
  readonly statements: number;
  /** How long runs wait for a statement in flight before they get another one, in milliseconds. */
  readonly patienceMs: number;
  /** Maximum number of runs in one statement. */
  readonly runs: number;
  /** Maximum number of characters in one statement; a larger run gets its own statement. */
  readonly characters: number;
  /** Maximum wait for a turn, in milliseconds. */
  readonly waitMs: number;
  /** Maximum number of waiting runs. Further ones are refused immediately, so they use no memory while Postgres hangs. */
  readonly waiting: number;
  /**
   * Maximum number of characters of the waiting runs, unless nothing waits: each takes several bytes, in the request and in its
   * row.
   */
  readonly waitingCharacters: number;
}

const LIMITS: RecorderLimits = {
  statements: 4,
  patienceMs: 50,
  runs: 64,
  characters: 2 ** 20,
  waitMs: 5_000,
  waiting: 500,
  waitingCharacters: 8 * 2 ** 20,
};

/**
 * A run that arrives alone has its own statement and does not wait. Runs that arrive while a statement is in flight share the
 * next one: one flush to disk and one executor start for all of them. A statement that hangs, on a lock or a dead connection,
 * does not block the others: soon they get another one.
 */
export function createRunRecorder(db: Database, timer: Timer, limits: RecorderLimits = LIMITS): RunRecorder {
  let waiting: Waiting[] = [];
  let underWay = 0;
  /** Runs that have waited for `patienceMs`. */
  const impatient = new WeakSet<Waiting>();
  // Runs wait in order, so the first loses patience first.
  const most = (): number => (waiting[0] !== undefined && impatient.has(waiting[0]) ? limits.statements : 1);

  const next = (): void => {
    while (waiting.length > 0 && underWay < most()) {
      const [chosen, rest] = choose(waiting.filter(stillWanted), limits);
      waiting = rest;
      const [first] = chosen;
      if (first === undefined) {
        return;
      }
      chosen.forEach(({ stopTimer }) => stopTimer());
      underWay += 1;
      // In the trace of the first run, not of the one that made room.
      const recorded = context.with(first.context, () => recordChosen(db, chosen));
      void recorded.finally(() => {
        underWay -= 1;
        next();
      });
    }
  };

  const wait = (entry: Waiting): void => {
    entry.stopTimer = timer.after(limits.patienceMs, () => {
      entry.stopTimer = timer.after(limits.waitMs - limits.patienceMs, () => {
        waiting = waiting.filter((other) => other !== entry);
        entry.reject(tooMany());
      });
      impatient.add(entry);
      next();
    });
  };

  return {
    record(run, claim, givenUp) {
      if (waiting.length >= limits.waiting) {
        return Promise.reject(tooMany());
      }
      const prepared = prepareRun({ run, claim });
      if (waiting.length > 0 && charactersOf(waiting) + prepared.json.length > limits.waitingCharacters) {
        return Promise.reject(tooMany());
      }
      return new Promise((resolve, reject) => {
        const request = { run, claim, prepared, givenUp, context: context.active() };
        const mine: Waiting = { ...request, resolve, reject, stopTimer: () => {} };
        waiting.push(mine);
        next();
        if (waiting.includes(mine)) {
          wait(mine);
        }
      });
    },
  };
}

function charactersOf(waiting: readonly Waiting[]): number {
  return waiting.reduce((sum, { prepared }) => sum + prepared.json.length, 0);
}

function tooMany(): DatabaseError {
  return new DatabaseError('postgres.unavailable', 'too many runs are waiting to be recorded', { retryable: true });
}

/** A run whose sender was told that it failed must not be recorded, if possible. */
function stillWanted({ givenUp, stopTimer, reject }: Waiting): boolean {
  if (givenUp?.aborted !== true) {
    return true;
  }
  stopTimer();
  reject(
    new DatabaseError('postgres.unavailable', 'the request timed out before it was recorded', { retryable: true }),
  );
  return false;
}

/** The first runs that may share a statement: they write no row twice. The others keep their order. */
function choose(waiting: readonly Waiting[], limits: RecorderLimits): readonly [Waiting[], Waiting[]] {
  const keys = new Set<string>();
  const chosen: Waiting[] = [];
  const passed: Waiting[] = [];
  let characters = 0;
  for (const [place, entry] of waiting.entries()) {
    characters += entry.prepared.json.length;
    if (chosen.length === limits.runs || (chosen.length > 0 && characters > limits.characters)) {
      return [chosen, [...passed, ...waiting.slice(place)]];
    }
    const mine = keysOf(entry.run);
    const clashes = mine.some((key) => keys.has(key));
    mine.forEach((key) => keys.add(key));
    (clashes ? passed : chosen).push(entry);
  }
  return [chosen, passed];
}

/** The rows that recording a run writes and another run may write too. */
export function keysOf({ deliveryId, idea }: NewRun): readonly string[] {
  return [`delivery ${deliveryId}`, `idea ${JSON.stringify([idea.sourceType, idea.sourceRef])}`];
}

/** Never rejects: each run gets its own result. */
async function recordChosen(db: Database, chosen: readonly Waiting[]): Promise<void> {
  if (chosen.length === 1) {
    return recordAlone(db, chosen);
  }
  try {
    const receipts = await recordTogether(
      db,
      chosen.map(({ prepared }) => prepared),
    );
    receipts.forEach((receipt, place) => receipt && chosen[place]?.resolve(receipt));
    return await recordAlone(
      db,
      chosen.filter((_, place) => receipts[place] === undefined),
    );
  } catch (error) {
    if (error instanceof DatabaseError && error.code === 'postgres.unavailable') {
      return chosen.forEach(({ reject }) => reject(error));
    }
    // An error caused by one run must not affect the others.
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
      entry.resolve(await recordRun(db, entry, entry.prepared));
    } catch (error) {
      entry.reject(error);
      gone = error instanceof DatabaseError && error.code === 'postgres.unavailable' ? error : undefined;
    }
  }
}
