import type { Clock } from '../base/clock.ts';
import type { RefusalRow } from '../ledger/unprocessed.ts';
import { describeAge } from '../presentation/duration.ts';
import { listText, type Column } from './columns.ts';
import { positive } from './option-pairs.ts';
import { listOutput, withListOutput, type OutputOptions } from './output.ts';
import { UsageError, type RegisterCommand } from './program.ts';
import { utc } from './run-text.ts';
import { screenOf } from './screen.ts';
import { withStoreOptions, type StoreOptions, type WithStore } from './store-access.ts';

interface ListOptions extends StoreOptions, OutputOptions {
  readonly limit: number;
  readonly before?: string;
  readonly command?: string;
  readonly user?: string;
}

const FIELDS = ['id', 'door', 'deliveryId', 'command', 'userId', 'reason', 'createdAt'] as const;

/** `facteur refusals list`: refused requests, and why. */
export function refusalsCommand(withStore: WithStore, clock: Clock): RegisterCommand {
  return (program, io) => {
    const refusals = program
      .command('refusals')
      .description('list requests that were turned away without starting a run');
    withListOutput(withStoreOptions(refusals.command('list')), FIELDS)
      .description('list refusals, newest first')
      .option('--command <name>', 'only this command')
      .option('--user <id>', 'only this user')
      .option('--limit <n>', 'maximum number to show', positive('--limit'), 20)
      .option('--before <id>', 'continue after this refusal, the last of the previous page', refusalId)
      .addHelpText(
        'after',
        '\nExamples:\n  facteur refusals list --command deploy\n  facteur refusals list --user 200000000000000001 -o yaml',
      )
      .action((options: ListOptions) =>
        withStore(io, { options }, async (store) => {
          const found = await store.listRefusals({
            limit: options.limit,
            ...(options.before === undefined ? {} : { before: options.before }),
            ...(options.command === undefined ? {} : { command: options.command.replace(/^\//, '') }),
            ...(options.user === undefined ? {} : { userId: options.user }),
          });
          const text = listText(screenOf(io), columnsFor(clock.now()), 'no refusals');
          io.stdout.write(listOutput(found, options, { name: ({ id }) => id, text }));
        }),
      );
  };
}

function refusalId(text: string): string {
  if (!/^\d{1,18}$/.test(text)) {
    throw new UsageError('--before: must be the id of a refusal');
  }
  return text;
}

function columnsFor(now: Date): readonly Column<RefusalRow>[] {
  return [
    { heading: 'ID', text: ({ id }) => id },
    { heading: 'AGE', text: ({ createdAt }) => describeAge(now.getTime() - createdAt.getTime()) },
    { heading: 'AT', text: ({ createdAt }) => utc(createdAt), when: 'wide' },
    { heading: 'DOOR', text: ({ door }) => door, when: 'roomy' },
    { heading: 'COMMAND', text: ({ command }) => command, flexible: true },
    { heading: 'USER', text: ({ userId }) => userId },
    { heading: 'DELIVERY', text: ({ deliveryId }) => deliveryId, when: 'wide' },
    { heading: 'REASON', text: ({ reason }) => reason, flexible: true },
  ];
}
