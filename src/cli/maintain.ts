import type { Database } from '../clients/postgres/database.ts';
import {
  archiveRuns,
  countArchivable,
  countPrunable,
  PRUNABLE,
  prune,
  type Place,
  type Prunable,
} from '../ledger/retention.ts';
import { retireHarmful } from '../knowledge/retire-harmful.ts';
import { analyzeReflections } from '../ledger/reflection-index.ts';
import { counted } from '../presentation/counted.ts';
import { parseAge } from './age.ts';
import type { WithLedger } from './ledger-access.ts';
import { oneOutput, withOutput, type OutputOptions } from './output.ts';
import { openProgress, type Progress } from './progress.ts';
import { UsageError, type RegisterCommand } from './program.ts';
import { withConfigOption } from './serve.ts';

const BATCH = 500;
/** Batches are larger when rows are only counted. */
const COUNTED_BATCH = 5000;

interface MaintainOptions extends OutputOptions {
  readonly config?: string;
  readonly olderThan: string;
  readonly settledOlderThan: string;
  readonly deadLettersOlderThan: string;
  readonly refusalsOlderThan: string;
  readonly dryRun?: boolean;
}

/** Work in batches. */
interface Work {
  readonly db: Database;
  /** No batch starts after this signal. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
  readonly dryRun: boolean;
}

/** Minimum age per kind, in seconds. */
type Ages = Readonly<Record<'runs' | Prunable, number>>;

/** How many rows were changed, or would be. */
type Outcome = Readonly<Record<'archived' | 'kept' | 'retired' | Prunable, number>>;

/** `facteur maintain`: retention, for a CronJob. Each batch commits separately, so it is safe to interrupt. */
export function maintainCommand(withLedger: WithLedger): RegisterCommand {
  return (program, io) => {
    withOutput(withConfigOption(program.command('maintain')), ['json', 'yaml'])
      .description(
        'archive old runs, delete old dead letters and refusals, and retire reflections that made runs worse; meant for a CronJob',
      )
      .addHelpText('after', '\nExamples:\n  facteur maintain --config facteur.yaml')
      .option(
        '--older-than <age>',
        'archive finished runs that have not changed for this long, such as 90d or 720h',
        '90d',
      )
      .option('--settled-older-than <age>', 'how long a dead letter that was replayed or dropped is remembered', '30d')
      .option('--dead-letters-older-than <age>', 'how long any other dead letter is kept', '180d')
      .option('--refusals-older-than <age>', 'how long a refusal is kept', '180d')
      .option('--dry-run', 'print what would be done without doing it')
      .action(async (options: MaintainOptions) => {
        const ages = agesOf(options);
        await withLedger(io, { configPath: options.config }, async ({ db }) => {
          const dryRun = options.dryRun === true;
          const progress = openProgress(io);
          const outcome = await maintain({ db, signal: io.signal, progress, dryRun }, ages).finally(() =>
            progress.end(),
          );
          const text = () => report(outcome, dryRun);
          io.stdout.write(oneOutput({ ...outcome, dryRun }, options, { name: () => '', text }));
        });
      });
  };
}

async function maintain(work: Work, ages: Ages): Promise<Outcome> {
  const { db, dryRun } = work;
  const outcome: Outcome = {
    ...(await onPrunable((what) => (dryRun ? countAll : pruneAll)(work, what, ages[what]))),
    retired: await retireHarmful(db, work),
    ...(await archiveAll(work, ages.runs)),
  };
  if (!dryRun) {
    await analyzeReflections(db);
  }
  return outcome;
}

/** Runs the work for one kind after the other, in order. */
async function onPrunable(work: (what: Prunable) => Promise<number>): Promise<Record<Prunable, number>> {
  const counts: [Prunable, number][] = [];
  for (const what of PRUNABLE) {
    counts.push([what, await work(what)]);
  }
  return Object.fromEntries(counts) as Record<Prunable, number>;
}

const PRUNING: Readonly<Record<Prunable, string>> = {
  settledDeadLetters: 'settled dead letter',
  deadLetters: 'dead letter',
  refusals: 'refusal',
};

async function pruneAll({ db, signal, progress }: Work, what: Prunable, olderThanSeconds: number): Promise<number> {
  let total = 0;
  for (let deleted = BATCH; deleted === BATCH && !signal.aborted; total += deleted) {
    progress.show(`deleting: ${counted(total, PRUNING[what])} so far`);
    deleted = await prune(db, what, { olderThanSeconds, limit: BATCH });
  }
  return total;
}

async function countAll({ db, signal, progress }: Work, what: Prunable, olderThanSeconds: number): Promise<number> {
  let total = 0;
  let after: Place | undefined;
  do {
    progress.show(`counting: ${counted(total, PRUNING[what])} so far`);
    const batch = await countPrunable(db, what, { olderThanSeconds, limit: COUNTED_BATCH, after });
    total += batch.seen;
    after = batch.next;
  } while (after !== undefined && !signal.aborted);
  return total;
}

async function archiveAll(
  { db, signal, progress, dryRun }: Work,
  olderThanSeconds: number,
): Promise<{ readonly archived: number; readonly kept: number }> {
  const [doing, walk, limit] = dryRun
    ? (['counting', countArchivable, COUNTED_BATCH] as const)
    : (['archiving', archiveRuns, BATCH] as const);
  let [seen, archived] = [0, 0];
  let after: Place | undefined;
  do {
    progress.show(`${doing}: ${counted(archived, 'run')} so far`);
    const batch = await walk(db, { olderThanSeconds, limit, after });
    seen += batch.seen;
    archived += batch.archived;
    after = batch.next;
  } while (after !== undefined && !signal.aborted);
  return { archived, kept: seen - archived };
}

function report(outcome: Outcome, dryRun: boolean): string {
  const { archived, kept, retired, settledDeadLetters, deadLetters, refusals } = outcome;
  const [moved, deleted, ended] = dryRun
    ? ['would be moved', 'would be deleted', 'would be retired']
    : ['moved', 'deleted', 'retired'];
  return [
    `${counted(archived, 'run')} ${moved} to the history, ${kept} kept because they have reflections or artifacts`,
    `${settledDeadLetters} settled and ${counted(deadLetters, 'other dead letter')} ${deleted}`,
    `${counted(refusals, 'refusal')} ${deleted}`,
    `${counted(retired, 'reflection')} ${ended} because runs that received them succeeded less often`,
    '',
  ].join('\n');
}

function agesOf({ olderThan, settledOlderThan, deadLettersOlderThan, refusalsOlderThan }: MaintainOptions): Ages {
  return {
    runs: seconds(olderThan, '--older-than'),
    settledDeadLetters: seconds(settledOlderThan, '--settled-older-than'),
    deadLetters: seconds(deadLettersOlderThan, '--dead-letters-older-than'),
    refusals: seconds(refusalsOlderThan, '--refusals-older-than'),
  };
}

function seconds(text: string, option: string): number {
  const ms = parseAge(text);
  if (ms === undefined || ms <= 0) {
    throw new UsageError(`${option}: must be an age such as 90d or 720h`);
  }
  return ms / 1000;
}
