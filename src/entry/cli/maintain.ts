import { parseDuration } from '../../config/duration.ts';
import { archiveRuns, type ArchiveCursor } from '../../ledger/archive-runs.ts';
import type { WithLedger } from './ledger-access.ts';
import { UsageError, type RegisterCommand } from './program.ts';
import { withConfigOption } from './serve.ts';

const BATCH = 500;
const DAY_MS = 24 * 60 * 60 * 1000;

/** `facteur maintain`: retention, for a CronJob. Each batch commits by itself, so that it may be stopped at any moment. */
export function maintainCommand(withLedger: WithLedger): RegisterCommand {
  return (program, io) => {
    withConfigOption(program.command('maintain'))
      .description('move finished runs to the history once they are old enough; for a CronJob')
      .option('--older-than <age>', 'how long a run stays after it last changed: 90d, 720h', '90d')
      .option('--json', 'print as JSON')
      .action((options: { config?: string; olderThan: string; json?: boolean }) =>
        withLedger(io, { configPath: options.config }, async ({ db }) => {
          const olderThanSeconds = ageMs(options.olderThan) / 1000;
          let [seen, archived] = [0, 0];
          let next: ArchiveCursor | undefined;
          do {
            const batch = await archiveRuns(db, olderThanSeconds, BATCH, next);
            seen += batch.seen;
            archived += batch.archived;
            next = batch.next;
          } while (next !== undefined && !io.signal.aborted);
          const kept = seen - archived;
          io.stdout.write(
            options.json === true
              ? `${JSON.stringify({ archived, kept })}\n`
              : `${archived} runs moved to the history, ${kept} kept because they hold reflections or artifacts\n`,
          );
        }),
      );
  };
}

/** Go's durations, and days, which operators think in. */
function ageMs(text: string): number {
  const days = /^(\d{1,5})d$/.exec(text);
  const ms = days === null ? parseDuration(text) : Number(days[1]) * DAY_MS;
  if (ms === undefined || ms <= 0) {
    throw new UsageError('--older-than: must be an age such as 90d or 720h');
  }
  return ms;
}
