import { Option, type Command } from 'commander';
import { FacteurError } from '../base/errors.ts';
import { checkIndex, LEAST_RECALL, type IndexCheck } from '../knowledge/check.ts';
import { refreshEmbeddings } from '../knowledge/refresh.ts';
import { openProgress } from './progress.ts';
import {
  REFLECTION_STATES,
  type FoundReflection,
  type KnownReflection,
  type ReflectionState,
} from '../ledger/search-reflections.ts';
import { counted } from '../presentation/counted.ts';
import { listText, type Column } from './columns.ts';
import type { CliIo } from './io.ts';
import type { WithLedger } from './ledger-access.ts';
import { listItems, positive } from './option-pairs.ts';
import { listOutput, oneOutput, withListOutput, withOutput, type OutputOptions } from './output.ts';
import { UsageError } from './program.ts';
import { utc } from './run-text.ts';
import { screenOf, type Colour } from './screen.ts';
import { withConfigOption } from './serve.ts';
import { withStoreOptions, type StoreOptions, type WithStore } from './store-access.ts';
import { printable, table } from './table.ts';

interface SearchOptions extends StoreOptions, OutputOptions {
  readonly repository?: string;
  readonly type?: string;
  readonly state?: ReflectionState;
  readonly limit: number;
}

interface IndexOptions extends OutputOptions {
  readonly config?: string;
  readonly sample: number;
}

const FIELDS = [
  'id',
  'runId',
  'repository',
  'type',
  'author',
  'content',
  'state',
  'createdAt',
  'rank',
  'similarity',
  'vectorRank',
  'wordRank',
] as const;
/** How much of a text a list shows. */
const SHOWN_CHARACTERS = 100;

/** `facteur knowledge search|show|check|refresh`: reflections, and their index. */
export function registerSearchCommands(
  knowledge: Command,
  io: CliIo,
  { withStore, withLedger }: { readonly withStore: WithStore; readonly withLedger: WithLedger },
): void {
  registerSearch(knowledge, io, withStore);
  registerShow(knowledge, io, withStore);
  registerCheck(knowledge, io, withLedger);
  registerRefresh(knowledge, io, withLedger);
}

function registerSearch(knowledge: Command, io: CliIo, withStore: WithStore): void {
  withListOutput(withStoreOptions(knowledge.command('search')), FIELDS)
    .argument('<text...>', 'what to look for')
    .description('find reflections by words and by similarity, the best first')
    .option('--repository <owner/name>', 'only this repository')
    .option('--type <types>', 'only these types, separated by commas')
    .addOption(new Option('--state <state>', 'only this state').choices(REFLECTION_STATES))
    .option('--limit <n>', 'maximum number to show, at most 50', positive('--limit', 50), 5)
    .addHelpText(
      'after',
      `
Examples:
  facteur knowledge search the migration fails
  facteur knowledge search 'flaky test' --repository acme/rocket --state trusted -o json`,
    )
    .action((words: readonly string[], options: SearchOptions) =>
      withStore(io, { options }, async (store) => {
        const found = await store.searchReflections(
          {
            text: words.join(' '),
            limit: options.limit,
            ...(options.repository === undefined ? {} : { repository: options.repository }),
            ...(options.type === undefined ? {} : { types: listItems(options.type) }),
            ...(options.state === undefined ? {} : { states: [options.state] }),
          },
          io.signal,
        );
        const text = listText(screenOf(io), FOUND_COLUMNS, 'no reflections found');
        io.stdout.write(listOutput(found, options, { name: ({ id }) => id, text }));
      }),
    );
}

const STATE_COLOURS: Readonly<Record<ReflectionState, Colour | undefined>> = {
  quarantined: 'yellow',
  trusted: 'green',
  retired: 'grey',
};

const FOUND_COLUMNS: readonly Column<FoundReflection>[] = [
  { heading: 'RANK', text: ({ rank }) => String(rank) },
  {
    heading: 'SIMILARITY',
    text: ({ similarity }) => (similarity === null ? '-' : similarity.toFixed(2)),
    when: 'roomy',
  },
  { heading: 'STATE', text: ({ state }) => state, colour: ({ state }) => STATE_COLOURS[state] },
  { heading: 'TYPE', text: ({ type }) => type, when: 'wide' },
  { heading: 'REPOSITORY', text: ({ repository }) => repository, when: 'roomy', flexible: true },
  { heading: 'REFLECTION', text: ({ id }) => id },
  { heading: 'TEXT', text: ({ content }) => shortened(content), flexible: true },
];

function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= SHOWN_CHARACTERS ? line : `${line.slice(0, SHOWN_CHARACTERS - 1)}…`;
}

function registerShow(knowledge: Command, io: CliIo, withStore: WithStore): void {
  withOutput(withStoreOptions(knowledge.command('show')))
    .argument('<reflection>', 'id of the reflection', reflectionId)
    .description('show a reflection, its origin and its standing')
    .addHelpText('after', '\nExamples:\n  facteur knowledge show 6e3f9021-7d4c-4b8a-89e2-0f1a2b3c4d5e -o json')
    .action((id: string, options: StoreOptions & OutputOptions) =>
      withStore(io, { options }, async (store) => {
        const known = await store.getReflection(id);
        io.stdout.write(oneOutput(known, options, { name: ({ id: its }) => its, text: () => knownText(known) }));
      }),
    );
}

/** Also keeps text that is not an id out of a URL. @throws UsageError */
export function reflectionId(text: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) {
    throw new UsageError(`${printable(text)}: give the whole id of a reflection`);
  }
  return text.toLowerCase();
}

function knownText(known: KnownReflection): string {
  const { id, runId, repository, type, author, state, reason, decidedBy, embeddingVersion } = known;
  const metadata = JSON.stringify(known.metadata);
  const facts = [
    ['run', runId],
    ['repository', repository],
    ['type', type],
    ['author', author ?? ''],
    ['state', state],
    ['reason', reason],
    ['decided by', decidedBy],
    ['embedding', embeddingVersion ?? ''],
    ['created', utc(known.createdAt)],
    ['updated', known.updatedAt.getTime() === known.createdAt.getTime() ? '' : utc(known.updatedAt)],
    ['metadata', metadata === '{}' ? '' : metadata],
  ].filter(([, value]) => value !== '');
  const text = known.content.split('\n').map((line) => `${printable(line)}\n`);
  return `${table(['REFLECTION', id], facts)}\n${text.join('')}`;
}

function registerCheck(knowledge: Command, io: CliIo, withLedger: WithLedger): void {
  withOutput(withConfigOption(knowledge.command('check')))
    .description('measure the recall of the index; fails below 95 %')
    .option('--sample <n>', 'how many stored embeddings to look for', positive('--sample'), 200)
    .addHelpText('after', '\nExamples:\n  facteur knowledge check --sample 500')
    .action((options: IndexOptions) =>
      withLedger(io, { configPath: options.config }, async ({ db }) => {
        const check = await checkIndex(db, { sample: options.sample, signal: io.signal });
        io.stdout.write(oneOutput(check, options, { name: () => 'index', text: () => checkText(check) }));
        const worst = Math.min(...check.recalls.map(({ recall }) => recall));
        if (worst < LEAST_RECALL) {
          const message = `the index finds only ${percent(worst)} of the nearest reflections; rebuild it with REINDEX INDEX CONCURRENTLY facteur.reflection_standing_signs`;
          throw new FacteurError('knowledge.recall', message, { retryable: false });
        }
      }),
    );
}

function checkText({ versions, vectorBytes, wordBytes, recalls }: IndexCheck): string {
  const counts = versions.map(({ version, reflections }) => [version ?? '(not embedded)', String(reflections)]);
  const measured = recalls.map(({ version, filter, queries, recall }) => [
    version,
    filter,
    String(queries),
    percent(recall),
  ]);
  return [
    table(['EMBEDDING', 'REFLECTIONS'], counts),
    table(
      ['INDEX', 'SIZE'],
      [
        ['vectors', mebibytes(vectorBytes)],
        ['words', mebibytes(wordBytes)],
      ],
    ),
    table(['EMBEDDING', 'FILTER', 'QUERIES', 'RECALL@10'], measured),
  ].join('\n');
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function registerRefresh(knowledge: Command, io: CliIo, withLedger: WithLedger): void {
  withOutput(withConfigOption(knowledge.command('refresh')))
    .description('embed the reflections that have no embedding, or one of another model; can be stopped and resumed')
    .addHelpText('after', '\nExamples:\n  facteur knowledge refresh -o json')
    .action((options: OutputOptions & { readonly config?: string }) =>
      withLedger(io, { configPath: options.config }, async ({ db, embedder }) => {
        const progress = openProgress(io);
        const onBatch = (done: number): void => progress.show(`${counted(done, 'reflection')} embedded so far`);
        const outcome = await refreshEmbeddings({ db, embedder, signal: io.signal, onBatch }).finally(() =>
          progress.end(),
        );
        const { version, refreshed, left } = outcome;
        const text = () => `${counted(refreshed, 'reflection')} embedded as ${printable(version)}, ${left} left\n`;
        io.stdout.write(oneOutput(outcome, options, { name: () => version, text }));
      }),
    );
}
