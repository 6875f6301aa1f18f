import { FacteurError } from '../base/errors.ts';
import { DatabaseError, type Queryable } from '../clients/postgres/database.ts';
import type { NewRun, RunReceipt } from '../domain/run.ts';
import { prepareRun, recordTogether, type PreparedRun } from './record-run.ts';
import { keysOf, type RunRecorder } from './run-recorder.ts';

/** A place in a convoy made by {@link createConvoy}. */
export interface ConvoyPlace extends Pick<RunRecorder, 'record'> {
  /** Nothing will be recorded in this place. Has no effect after `record`. */
  leave(): void;
}

/** A run of a convoy that has not been recorded yet. */
interface Traveller {
  readonly run: NewRun;
  readonly prepared: PreparedRun;
  readonly resolve: (receipt: RunReceipt) => void;
  readonly reject: (error: unknown) => void;
}

/** Whether the run was not recorded because of another run before or next to it: record it again after those. */
export function isHeldBack(error: unknown): boolean {
  return error instanceof FacteurError && error.code === 'ledger.held_back';
}

function heldBack(): FacteurError {
  return new FacteurError('ledger.held_back', 'an earlier run has to be recorded first', { retryable: true });
}

/**
 * Records runs of one sender in one statement and in order, once every place is taken or left. Runs behind a place that was left
 * are held back, and so are all runs if Postgres cannot store one: none overtakes another.
 */
export function createConvoy(db: Queryable, size: number): ConvoyPlace[] {
  const travellers: (Traveller | undefined)[] = Array.from({ length: size });
  const open = new Set(travellers.keys());
  const arrive = (place: number, traveller?: Traveller): void => {
    travellers[place] = traveller;
    open.delete(place);
    if (open.size === 0) {
      void depart(db, travellers);
    }
  };
  return travellers.map((_, place) => ({
    record: (run, claim) =>
      new Promise((resolve, reject) => {
        arrive(place, { run, prepared: prepareRun({ run, claim }), resolve, reject });
      }),
    leave: () => {
      if (open.has(place)) {
        arrive(place);
      }
    },
  }));
}

/** Never rejects: each run gets its own result. */
async function depart(db: Queryable, travellers: readonly (Traveller | undefined)[]): Promise<void> {
  const together = beforeTheFirstGap(travellers);
  for (const traveller of travellers.slice(together.length)) {
    traveller?.reject(heldBack());
  }
  if (together.length === 0) {
    return;
  }
  try {
    const receipts = await recordTogether(
      db,
      together.map(({ prepared }) => prepared),
    );
    together.forEach(({ resolve, reject }, place) => {
      const receipt = receipts[place];
      if (receipt === undefined) {
        // Another process was recording the same delivery at this moment.
        reject(heldBack());
      } else {
        resolve(receipt);
      }
    });
  } catch (error) {
    const isGone = error instanceof DatabaseError && error.code === 'postgres.unavailable';
    together.forEach(({ reject }) => reject(isGone ? error : heldBack()));
  }
}

/** A statement cannot write a row twice: a second run of the same delivery or idea is held back too. */
function beforeTheFirstGap(travellers: readonly (Traveller | undefined)[]): Traveller[] {
  const keys = new Set<string>();
  const together: Traveller[] = [];
  for (const traveller of travellers) {
    const mine = traveller === undefined ? [] : keysOf(traveller.run);
    if (traveller === undefined || mine.some((key) => keys.has(key))) {
      return together;
    }
    mine.forEach((key) => keys.add(key));
    together.push(traveller);
  }
  return together;
}
