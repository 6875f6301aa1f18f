import type { Queryable } from '../clients/postgres/database.ts';
import { countStandings, retrievalOutcomes, type RetrievalOutcomes } from '../ledger/retrieval-outcomes.ts';
import { difference, wilson, type Outcomes } from './usefulness.ts';

/** The success rate of runs that succeeded or failed. */
interface Success {
  readonly runs: number;
  readonly succeeded: number;
  /** 0 to 1; null without runs. */
  readonly rate: number | null;
  /** The 95 % Wilson interval of the rate. */
  readonly low: number;
  readonly high: number;
}

/** Whether reflections help the runs of a command in a repository. */
interface GroupStats {
  readonly command: string;
  readonly repository: string;
  /** Runs that received reflections. */
  readonly with: Success;
  /** Runs that would have received some but were held out: the comparison group. */
  readonly heldOut: Success;
  /** Runs for which nothing was found in time. They are a different kind of run, so they are compared with neither. */
  readonly without: Success;
  /** By how much the success rate with reflections exceeds that of held-out runs; null while either side has no runs. */
  readonly difference: { readonly value: number; readonly low: number; readonly high: number } | null;
}

/** The effect of the knowledge base on runs. */
export interface LearningStats {
  readonly groups: readonly GroupStats[];
  /** False if there were more runs or groups than were read: these are the newest runs and the largest groups. */
  readonly complete: boolean;
  /** The number of reflections by state. */
  readonly reflections: { readonly quarantined: number; readonly trusted: number; readonly retired: number };
}

/** The statistics of the last `days` days. */
export async function learningStats(db: Queryable, days: number): Promise<LearningStats> {
  const [{ outcomes, complete }, standings] = await Promise.all([retrievalOutcomes(db, days), countStandings(db)]);
  const { quarantined = 0, trusted = 0, retired = 0 } = standings;
  return { groups: groupsOf(outcomes), complete, reflections: { quarantined, trusted, retired } };
}

/** Groups by command and repository, in the order of the outcomes. */
function groupsOf(outcomes: readonly RetrievalOutcomes[]): readonly GroupStats[] {
  const groups = Map.groupBy(outcomes, ({ command, repository }) => JSON.stringify([command, repository]));
  return [...groups.values()].flatMap((rows) => {
    const [first] = rows;
    return first === undefined ? [] : [statsOf(first, rows)];
  });
}

function statsOf(
  { command, repository }: Pick<RetrievalOutcomes, 'command' | 'repository'>,
  rows: readonly RetrievalOutcomes[],
): GroupStats {
  const received = sumOf(rows.filter(({ strategy }) => strategy === 'retrieve'));
  const heldOut = sumOf(rows.filter(({ strategy }) => strategy === 'holdout'));
  const others = sumOf(rows.filter(({ strategy }) => strategy !== 'retrieve' && strategy !== 'holdout'));
  return {
    command,
    repository,
    with: successOf(received),
    heldOut: successOf(heldOut),
    without: successOf(others),
    difference: difference(received, heldOut) ?? null,
  };
}

function sumOf(rows: readonly RetrievalOutcomes[]): Outcomes {
  return {
    helped: rows.reduce((sum, { succeeded }) => sum + succeeded, 0),
    hurt: rows.reduce((sum, { failed }) => sum + failed, 0),
  };
}

function successOf({ helped, hurt }: Outcomes): Success {
  const runs = helped + hurt;
  return { runs, succeeded: helped, rate: runs === 0 ? null : helped / runs, ...wilson(helped, runs) };
}
