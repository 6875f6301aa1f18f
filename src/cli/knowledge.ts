import type { Command } from 'commander';
import type { LearningStats } from '../knowledge/learning-stats.ts';
import type { StandingChange } from '../ledger/reflection-standing.ts';
import type { CliIo } from './io.ts';
import { reflectionId, registerSearchCommands } from './knowledge-search.ts';
import type { WithLedger } from './ledger-access.ts';
import { UsageError, type RegisterCommand } from './program.ts';
import { positive } from './option-pairs.ts';
import { withStoreOptions, type StoreOptions, type WithStore } from './store-access.ts';
import { table } from './table.ts';

interface DecisionOptions extends StoreOptions {
  readonly reason?: string;
  readonly withDescendants?: boolean;
  readonly json?: boolean;
}

/** `facteur knowledge`: what runs taught, and whether it helps others. */
export function knowledgeCommand(withStore: WithStore, withLedger: WithLedger): RegisterCommand {
  return (program, io) => {
    const knowledge = program
      .command('knowledge')
      .description('search and review reflections, and see whether they help');
    registerSearchCommands(knowledge, io, { withStore, withLedger });
    registerTrust(knowledge, io, withStore);
    registerRetire(knowledge, io, withStore);
    registerStats(knowledge, io, withStore);
  };
}

function registerTrust(knowledge: Command, io: CliIo, withStore: WithStore): void {
  withStoreOptions(knowledge.command('trust'))
    .argument('<ids...>', 'ids of reflections')
    .description('trust these reflections so that runs can receive them')
    .option('--reason <text>', 'why, for the record')
    .option('--json', 'one JSON object per line')
    .addHelpText(
      'after',
      `
Examples:
  facteur knowledge trust 6e3f9021-7d4c-4b8a-89e2-0f1a2b3c4d5e --reason 'read and found right'`,
    )
    .action((ids: readonly string[], options: DecisionOptions) =>
      withStore(io, { options }, async (store) => {
        const changes = await store.trustReflections(ids.map(reflectionId), options.reason ?? '');
        io.stdout.write(changesText(changes, options));
      }),
    );
}

function registerRetire(knowledge: Command, io: CliIo, withStore: WithStore): void {
  withStoreOptions(knowledge.command('retire'))
    .argument('<ids...>', 'ids of reflections')
    .description('retire these reflections so that no run receives them, and list those derived from them')
    .option('--reason <text>', 'why, for the record')
    .option('--with-descendants', 'retire reflections of runs that received these, too')
    .option('--json', 'one JSON object per line')
    .addHelpText(
      'after',
      `
Examples:
  facteur knowledge retire 6e3f9021-7d4c-4b8a-89e2-0f1a2b3c4d5e --reason 'wrong since the upgrade' --with-descendants`,
    )
    .action((ids: readonly string[], options: DecisionOptions) =>
      withStore(io, { options }, async (store) => {
        const withDescendants = options.withDescendants === true;
        const changes = await store.retireReflections(ids.map(reflectionId), options.reason ?? '', withDescendants);
        io.stdout.write(changesText(changes, options));
        const left = changes.filter(({ isDescendant, state }) => isDescendant && state !== 'retired').length;
        if (left > 0 && options.json !== true) {
          io.stdout.write(`\n${left} descendants were not retired; use --with-descendants to retire them\n`);
        }
      }),
    );
}

function registerStats(knowledge: Command, io: CliIo, withStore: WithStore): void {
  withStoreOptions(knowledge.command('stats'))
    .description('compare runs that received reflections with runs that were held out')
    .option('--days <n>', 'how far back', '90')
    .option('--json', 'print as JSON')
    .addHelpText(
      'after',
      `
Examples:
  facteur knowledge stats --days 30
  facteur knowledge stats --json`,
    )
    .action((options: StoreOptions & { readonly days: string; readonly json?: boolean }) =>
      withStore(io, { options }, async (store) => {
        const days = positive(options.days, '--days');
        if (days > 9999) {
          throw new UsageError('--days: must be at most 9999');
        }
        const stats = await store.learningStats(days);
        io.stdout.write(options.json === true ? `${JSON.stringify(stats)}\n` : statsText(stats));
      }),
    );
}

function changesText(changes: readonly StandingChange[], { json }: DecisionOptions): string {
  if (json === true) {
    return changes.map((change) => `${JSON.stringify(change)}\n`).join('');
  }
  const rows = changes.map(({ reflectionId: id, isDescendant, previousState, state, type, repository, runId }) => [
    isDescendant ? `└ ${id}` : id,
    previousState === state ? state : `${previousState} → ${state}`,
    type,
    repository,
    runId,
  ]);
  return table(['REFLECTION', 'STATE', 'TYPE', 'REPOSITORY', 'RUN'], rows);
}

type Group = LearningStats['groups'][number];

function statsText({ groups, reflections: { quarantined, trusted, retired } }: LearningStats): string {
  const counts = `reflections: ${trusted} trusted, ${quarantined} quarantined, ${retired} retired\n`;
  if (groups.length === 0) {
    return `${counts}\nno runs looked for reflections\n`;
  }
  const rows = groups.map((group) => [
    group.command,
    group.repository,
    successText(group.with),
    successText(group.heldOut),
    differenceText(group.difference),
    successText(group.without),
  ]);
  const headings = ['COMMAND', 'REPOSITORY', 'WITH REFLECTIONS', 'HELD OUT', 'DIFFERENCE', 'NOTHING FOUND'];
  return `${counts}\n${table(headings, rows)}\nShare of runs that succeeded, with 95 % intervals.\n`;
}

function successText({ runs, succeeded, rate, low, high }: Group['with']): string {
  return rate === null ? '–' : `${percent(rate)} of ${runs} (${succeeded}; ${percent(low)} to ${percent(high)})`;
}

function differenceText(difference: Group['difference']): string {
  if (difference === null) {
    return '–';
  }
  const { value, low, high } = difference;
  const verdict = low > 0 || high < 0 ? '' : ', may be chance';
  return `${points(value)} (${points(low)} to ${points(high)}${verdict})`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function points(share: number): string {
  const rounded = Math.round(share * 100);
  return rounded > 0 ? `+${rounded}` : String(rounded).replace('-', '−');
}
