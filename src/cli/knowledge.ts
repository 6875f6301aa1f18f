import type { Command } from 'commander';
import type { LearningStats } from '../knowledge/learning-stats.ts';
import type { StandingChange } from '../ledger/reflection-standing.ts';
import { counted } from '../presentation/counted.ts';
import { columnsText, type Column } from './columns.ts';
import type { CliIo } from './io.ts';
import { reflectionId, registerSearchCommands } from './knowledge-search.ts';
import type { WithLedger } from './ledger-access.ts';
import type { RegisterCommand } from './program.ts';
import { each, positive } from './option-pairs.ts';
import { listOutput, oneOutput, withListOutput, withOutput, isForPeople, type OutputOptions } from './output.ts';
import { shortId } from './run-text.ts';
import { screenOf, type Screen } from './screen.ts';
import { withStoreOptions, type StoreOptions, type WithStore } from './store-access.ts';

interface DecisionOptions extends StoreOptions, OutputOptions {
  readonly reason?: string;
  readonly withDescendants?: boolean;
}

const CHANGE_FIELDS = [
  'reflectionId',
  'isDescendant',
  'previousState',
  'state',
  'type',
  'repository',
  'runId',
] as const;

/** `facteur knowledge`: what runs learned, and whether it helps later runs. */
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
  withListOutput(withStoreOptions(knowledge.command('trust')), CHANGE_FIELDS)
    .argument('<ids...>', 'ids of reflections', each(reflectionId))
    .description('trust these reflections so that runs can receive them')
    .option('--reason <text>', 'why, for the record')
    .addHelpText(
      'after',
      `
Examples:
  facteur knowledge trust 6e3f9021-7d4c-4b8a-89e2-0f1a2b3c4d5e --reason 'read and found right'`,
    )
    .action((ids: readonly string[], options: DecisionOptions) =>
      withStore(io, { options }, async (store) => {
        const changes = await store.trustReflections(ids, options.reason ?? '');
        io.stdout.write(changesOutput(changes, options, io));
      }),
    );
}

function registerRetire(knowledge: Command, io: CliIo, withStore: WithStore): void {
  withListOutput(withStoreOptions(knowledge.command('retire')), CHANGE_FIELDS)
    .argument('<ids...>', 'ids of reflections', each(reflectionId))
    .description('retire these reflections so that no run receives them, and list those derived from them')
    .option('--reason <text>', 'why, for the record')
    .option('--with-descendants', 'retire reflections of runs that received these, too')
    .addHelpText(
      'after',
      `
Examples:
  facteur knowledge retire 6e3f9021-7d4c-4b8a-89e2-0f1a2b3c4d5e --reason 'wrong since the upgrade' --with-descendants`,
    )
    .action((ids: readonly string[], options: DecisionOptions) =>
      withStore(io, { options }, async (store) => {
        const withDescendants = options.withDescendants === true;
        const { changes, descendants } = await store.retireReflections(ids, options.reason ?? '', withDescendants);
        io.stdout.write(changesOutput(changes, options, io));
        const unlisted = descendants - changes.filter(({ isDescendant }) => isDescendant).length;
        if (unlisted > 0) {
          // Also for programs, which would take the list as complete.
          io.stderr.write(`facteur: warning: ${counted(unlisted, 'more descendant')} not listed\n`);
        }
        const left = changes.filter(({ isDescendant, state }) => isDescendant && state !== 'retired').length;
        if (left > 0 && isForPeople(options)) {
          const atLeast = unlisted > 0 ? 'at least ' : '';
          io.stdout.write(
            `\n${atLeast}${counted(left, 'descendant')} not retired; --with-descendants retires them, too\n`,
          );
        }
      }),
    );
}

function registerStats(knowledge: Command, io: CliIo, withStore: WithStore): void {
  withOutput(withStoreOptions(knowledge.command('stats')))
    .description('compare runs that received reflections with runs that were held out')
    .option('--days <n>', 'how far back', positive('--days', 9999), 90)
    .addHelpText(
      'after',
      `
Examples:
  facteur knowledge stats --days 30
  facteur knowledge stats -o json`,
    )
    .action((options: StoreOptions & OutputOptions & { readonly days: number }) =>
      withStore(io, { options }, async (store) => {
        const stats = await store.learningStats(options.days);
        io.stdout.write(oneOutput(stats, options, { name: () => 'stats', text: () => statsText(stats, screenOf(io)) }));
      }),
    );
}

function changesOutput(changes: readonly StandingChange[], options: OutputOptions, io: CliIo): string {
  return listOutput(changes, options, {
    name: ({ reflectionId: id }) => id,
    text: (rows, wide) => columnsText(CHANGE_COLUMNS, rows, { ...screenOf(io), wide }),
  });
}

const CHANGE_COLUMNS: readonly Column<StandingChange>[] = [
  { heading: 'REFLECTION', text: ({ reflectionId: id, isDescendant }) => (isDescendant ? `└ ${id}` : id) },
  {
    heading: 'STATE',
    text: ({ previousState, state }) => (previousState === state ? state : `${previousState} → ${state}`),
  },
  { heading: 'TYPE', text: ({ type }) => type, when: 'roomy', flexible: true },
  { heading: 'REPOSITORY', text: ({ repository }) => repository, flexible: true },
  { heading: 'RUN', text: ({ runId }) => shortId(runId) },
  { heading: 'RUN ID', text: ({ runId }) => runId, when: 'wide' },
];

type Group = LearningStats['groups'][number];

const GROUP_COLUMNS: readonly Column<Group>[] = [
  { heading: 'COMMAND', text: ({ command }) => command },
  { heading: 'REPOSITORY', text: ({ repository }) => repository, flexible: true },
  { heading: 'WITH REFLECTIONS', text: (group) => rateText(group.with), when: 'narrow' },
  { heading: 'WITH REFLECTIONS', text: (group) => rateText(group.with) + rangeText(group.with), when: 'roomy' },
  { heading: 'HELD OUT', text: ({ heldOut }) => rateText(heldOut), when: 'narrow' },
  { heading: 'HELD OUT', text: ({ heldOut }) => rateText(heldOut) + rangeText(heldOut), when: 'roomy' },
  { heading: 'DIFFERENCE', text: ({ difference }) => differenceText(difference, false), when: 'narrow' },
  { heading: 'DIFFERENCE', text: ({ difference }) => differenceText(difference, true), when: 'roomy' },
  { heading: 'NOTHING FOUND', text: ({ without }) => rateText(without), when: 'roomy' },
];

function statsText({ groups, complete, reflections }: LearningStats, screen: Screen): string {
  const { quarantined, trusted, retired } = reflections;
  const counts = `reflections: ${trusted} trusted, ${quarantined} quarantined, ${retired} retired\n`;
  if (groups.length === 0) {
    return `${counts}\nno runs looked for reflections\n`;
  }
  const shown = columnsText(GROUP_COLUMNS, groups, { ...screen, wide: false });
  const rest = complete ? '' : 'Of the newest 100,000 runs, and the 500 largest groups.\n';
  return `${counts}\n${shown}\nShare of runs that succeeded, with 95 % intervals where they fit.\n${rest}`;
}

/** `78 % of 40`. */
function rateText({ runs, rate }: Group['with']): string {
  return rate === null ? '–' : `${percent(rate)} of ${runs}`;
}

/** ` (62 to 88)`. */
function rangeText({ rate, low, high }: Group['with']): string {
  return rate === null ? '' : ` (${Math.round(low * 100)} to ${Math.round(high * 100)})`;
}

/** `+28 (−7 to +60), may be chance`. */
function differenceText(difference: Group['difference'], withRange: boolean): string {
  if (difference === null) {
    return '–';
  }
  const { value, low, high } = difference;
  const range = withRange ? ` (${points(low)} to ${points(high)})` : '';
  return `${points(value)}${range}${low > 0 || high < 0 ? '' : ', may be chance'}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function points(share: number): string {
  const rounded = Math.round(share * 100);
  return rounded > 0 ? `+${rounded}` : String(rounded).replace('-', '−');
}
