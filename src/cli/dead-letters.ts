import { Option, type Command } from 'commander';
import type { Clock } from '../base/clock.ts';
import type { DeadLetter, DeadLetterSummary } from '../ledger/unprocessed.ts';
import { counted } from '../presentation/counted.ts';
import { describeAge } from '../presentation/duration.ts';
import { changeEach, withChangeOptions, type ChangeOptions } from './change-each.ts';
import { listText, type Column } from './columns.ts';
import type { CliIo } from './io.ts';
import { each, positive } from './option-pairs.ts';
import { listOutput, oneOutput, withListOutput, withOutput, type OutputOptions } from './output.ts';
import type { RegisterCommand } from './program.ts';
import { UsageError } from './program.ts';
import { replayFailure } from './replay-failure.ts';
import type { RunStore } from './run-store.ts';
import { utc, viaDoor } from './run-text.ts';
import { screenOf } from './screen.ts';
import { withStoreOptions, type StoreOptions, type WithStore } from './store-access.ts';
import { printable, table } from './table.ts';

/** Selects dead letters. */
interface LetterFilter {
  readonly door?: string;
  readonly reason?: string;
}

type ListOptions = StoreOptions & OutputOptions & LetterFilter & { readonly limit: number; readonly after: string };
type EachOptions = StoreOptions & ChangeOptions & LetterFilter & { readonly all?: boolean };

const FIELDS = ['id', 'door', 'deliveryId', 'reason', 'attempts', 'bytes', 'createdAt', 'outcome', 'runId'] as const;

/** `facteur dead-letters list|show|replay|drop`: deliveries that could not be processed, and how to replay or delete them. */
export function deadLettersCommand(withStore: WithStore, clock: Clock): RegisterCommand {
  return (program, io) => {
    const letters = program
      .command('dead-letters')
      .description('list, show, replay or drop deliveries that could not be processed');
    registerList(letters, io, { withStore, clock });
    registerShow(letters, io, { withStore, clock });
    registerReplay(letters, io, withStore);
    registerDrop(letters, io, withStore);
  };
}

function withFilter(command: Command): Command {
  return command
    .addOption(new Option('--door <door>', 'only this door').choices(['http', 'kafka']))
    .option('--reason <text>', 'only those whose reason contains this text');
}

function registerList(
  letters: Command,
  io: CliIo,
  { withStore, clock }: { readonly withStore: WithStore; readonly clock: Clock },
): void {
  withFilter(withListOutput(withStoreOptions(letters.command('list')), FIELDS))
    .description('list dead letters, oldest first')
    .option('--limit <n>', 'maximum number to show', positive('--limit'), 50)
    .option('--after <id>', 'continue after this dead letter', letterId, '')
    .addHelpText(
      'after',
      `
Examples:
  facteur dead-letters list --door kafka
  facteur dead-letters list --reason forbidden -o name`,
    )
    .action((options: ListOptions) =>
      withStore(io, { options }, async (store) => {
        const { limit, after } = options;
        const found = await findLetters(store, options, { limit, after: after || '0' });
        const text = listText(screenOf(io), columnsFor(clock.now()), 'no dead letters');
        io.stdout.write(listOutput(found, options, { name: ({ id }) => id, text }));
      }),
    );
}

function registerShow(
  letters: Command,
  io: CliIo,
  { withStore, clock }: { readonly withStore: WithStore; readonly clock: Clock },
): void {
  withOutput(withStoreOptions(letters.command('show')))
    .argument('<id>', 'an id from the list', letterId)
    .description('show one dead letter; as JSON, its body is base64')
    .option('--body', 'write only the raw body')
    .addHelpText(
      'after',
      `
Examples:
  facteur dead-letters show 17
  facteur dead-letters show 17 --body > body.bin`,
    )
    .action((id: string, options: StoreOptions & OutputOptions & { readonly body?: boolean }) =>
      withStore(io, { options }, async (store) => {
        const letter = await store.getDeadLetter(id);
        if (options.body === true) {
          io.stdout.write(letter.body);
          return;
        }
        const shown = { ...letter, body: letter.body.toString('base64') };
        io.stdout.write(oneOutput(shown, options, { name: () => letter.id, text: () => details(letter, clock.now()) }));
      }),
    );
}

function registerReplay(letters: Command, io: CliIo, withStore: WithStore): void {
  withFilter(withChangeOptions(withStoreOptions(letters.command('replay'))))
    .argument('[ids...]', 'an id from the list', each(letterId), [])
    .description('process dead letters again; accepted ones leave the list')
    .option('--all', 'all of them, or all that --door and --reason select')
    .addHelpText(
      'after',
      `
Examples:
  facteur dead-letters replay 17 18
  facteur dead-letters replay --all --reason forbidden --dry-run`,
    )
    .action(async (ids: readonly string[], options: EachOptions) => {
      checkChoice(ids, options);
      await withStore(io, { options, plans: true }, async (store) => {
        const targets = await chosen(store, ids, options);
        const apply = async (id: string) => {
          const receipt = await store.replayDeadLetter(id).catch((error: unknown) => {
            throw replayFailure(id, error);
          });
          const known = receipt.duplicate ? ' (already known)' : '';
          return {
            line: `dead letter ${id} became run ${printable(receipt.runId)}${known}`,
            result: { id, ...receipt },
            newId: receipt.runId,
          };
        };
        await changeEach(
          { ...OF_LETTERS, targets, verb: 'replay', obstacle: (id) => obstacle(store, id, options), apply },
          options,
          io,
        );
      });
    });
}

function registerDrop(letters: Command, io: CliIo, withStore: WithStore): void {
  withFilter(withChangeOptions(withStoreOptions(letters.command('drop'))))
    .argument('[ids...]', 'an id from the list', each(letterId), [])
    .description('delete dead letters')
    .option('--all', 'all of them, or all that --door and --reason select')
    .addHelpText(
      'after',
      `
Examples:
  facteur dead-letters drop 17
  facteur dead-letters drop --all --reason 'unsupported codex stage'`,
    )
    .action(async (ids: readonly string[], options: EachOptions) => {
      checkChoice(ids, options);
      await withStore(io, { options }, async (store) => {
        const targets = await chosen(store, ids, options);
        const apply = async (id: string) => {
          await store.dropDeadLetter(id);
          return { line: `dead letter ${id} dropped`, result: { id, outcome: 'dropped' } };
        };
        await changeEach(
          { ...OF_LETTERS, targets, verb: 'drop', obstacle: (id) => obstacle(store, id, options), apply },
          options,
          io,
        );
      });
    });
}

/** How changes of dead letters name them. */
const OF_LETTERS = { noun: 'dead letter', nameOf: String, idOf: String };

/**
 * Why a letter cannot change. Filters select only open letters; named ones may be closed. @throws FacteurError for an unknown one
 */
async function obstacle(store: RunStore, id: string, { all }: EachOptions): Promise<string | undefined> {
  const outcome = all === true ? '' : (await store.getDeadLetter(id)).outcome;
  return outcome === '' ? undefined : `it was already ${outcome}`;
}

/** @throws UsageError for ids and `--all`, or neither */
function checkChoice(ids: readonly string[], options: EachOptions): void {
  const filtered = options.door !== undefined || options.reason !== undefined;
  if ((options.all === true) === ids.length > 0 || (filtered && options.all !== true)) {
    throw new UsageError('give the ids of dead letters, or --all (with --door or --reason for some of them)');
  }
}

/** The named ids without duplicates, or the ids of all letters that match the filters. */
async function chosen(store: RunStore, ids: readonly string[], options: EachOptions): Promise<readonly string[]> {
  return options.all === true
    ? (await findLetters(store, options, { limit: Infinity, after: '0' })).map(({ id }) => id)
    : [...new Set(ids)];
}

/** Page size. There are few letters, so they are filtered here. */
const PAGE = 500;

async function findLetters(
  store: RunStore,
  { door, reason }: LetterFilter,
  { limit, after }: { readonly limit: number; readonly after: string },
): Promise<readonly DeadLetterSummary[]> {
  const found: DeadLetterSummary[] = [];
  const isMeant = (letter: DeadLetterSummary): boolean =>
    (door === undefined || letter.door === door) &&
    (reason === undefined || letter.reason.toLowerCase().includes(reason.toLowerCase()));
  for (let from: string | undefined = after; from !== undefined && found.length < limit;) {
    const page = await store.listDeadLetters(PAGE, from);
    found.push(...page.filter(isMeant));
    from = page.length < PAGE ? undefined : page.at(-1)?.id;
  }
  return found.slice(0, limit);
}

function letterId(text: string): string {
  if (!/^\d{1,18}$/.test(text)) {
    throw new UsageError(`invalid dead letter id ${printable(text)}: must be a number`);
  }
  return text;
}

function columnsFor(now: Date): readonly Column<DeadLetterSummary>[] {
  return [
    { heading: 'ID', text: ({ id }) => id },
    { heading: 'AGE', text: ({ createdAt }) => describeAge(now.getTime() - createdAt.getTime()) },
    { heading: 'SINCE', text: ({ createdAt }) => utc(createdAt), when: 'wide' },
    { heading: 'DOOR', text: ({ door }) => door },
    { heading: 'ATTEMPTS', text: ({ attempts }) => String(attempts), when: 'wide' },
    { heading: 'BYTES', text: ({ bytes }) => String(bytes), when: 'ample' },
    { heading: 'DELIVERY', text: ({ deliveryId }) => deliveryId, when: 'ample', flexible: true },
    { heading: 'REASON', text: ({ reason }) => reason, flexible: true },
  ];
}

function details(letter: DeadLetter, now: Date): string {
  const { id, door, deliveryId, reason, attempts, bytes, createdAt, outcome, runId, headers, body } = letter;
  const facts = [
    ['since', `${utc(createdAt)}, ${describeAge(now.getTime() - createdAt.getTime())} ago, ${viaDoor(door)}`],
    ['reason', reason],
    ['attempts', String(attempts)],
    ['delivery', deliveryId],
    ['outcome', outcome],
    ['run', runId],
    ['body', outcome === '' ? counted(bytes, 'byte') : `deleted when it was ${outcome}`],
  ].filter(([, value]) => value !== '');
  const sections = [
    table(['DEAD LETTER', id], facts),
    Object.keys(headers).length === 0 ? '' : table(['HEADERS', ''], Object.entries(headers)),
    body.length === 0 ? '' : `BODY\n${printable(body.toString('utf8').slice(0, SHOWN_BYTES))}\n`,
  ];
  return sections.filter((section) => section !== '').join('\n');
}

/** How much of a body is shown; `--body` writes all of it. */
const SHOWN_BYTES = 4000;
