import { Option, type Command } from 'commander';
import type { Clock } from '../base/clock.ts';
import { pause } from '../base/timer.ts';
import { RUN_STATES, type RunState } from '../domain/run-state.ts';
import type { RunFilter, RunView } from '../ledger/find-runs.ts';
import { parseAge } from './age.ts';
import type { CliIo } from './io.ts';
import { lookAgain } from './look-again.ts';
import { formatOf, isForPeople, listOutput, withListOutput, type OutputOptions } from './output.ts';
import { positive, wordsOption } from './option-pairs.ts';
import { UsageError } from './program.ts';
import { REFERENCE, requireRun } from './require-run.ts';
import type { RunStore } from './run-store.ts';
import { runListing, type Waiting } from './run-text.ts';
import { screenOf } from './screen.ts';
import { withStoreOptions, type StoreOptions, type WithStore } from './store-access.ts';
import { printable } from './table.ts';

interface ListOptions extends StoreOptions, OutputOptions {
  readonly state?: readonly RunState[];
  readonly command?: string;
  readonly user?: string;
  readonly since?: Date;
  readonly door?: string;
  readonly grep?: string;
  readonly limit: number;
  readonly before?: string;
  readonly watch?: boolean;
}

/** The fields of a run that `--json` may name. */
const FIELDS = [
  'runId',
  'deliveryId',
  'kind',
  'command',
  'title',
  'door',
  'state',
  'reason',
  'progress',
  'namespace',
  'workflowName',
  'workflowUid',
  'correlationId',
  'userId',
  'attempts',
  'retryCount',
  'retryOf',
  'cancelRequestedBy',
  'acceptedAt',
  'submittedAt',
  'startedAt',
  'finishedAt',
  'revision',
] as const satisfies readonly (keyof RunView)[];

/** Polling interval in milliseconds. */
const WATCH_MS = 2000;
const CLEAR = '\u001b[H\u001b[2J';

/** `facteur runs list`. */
export function registerList(
  runs: Command,
  io: CliIo,
  deps: { readonly withStore: WithStore; readonly clock: Clock },
): void {
  withListOutput(withStoreOptions(runs.command('list')), FIELDS)
    .description('list runs, newest first')
    .addOption(
      wordsOption('--state <states>', 'only these states, separated by commas', {
        words: ['live', ...RUN_STATES],
        read: states,
      }),
    )
    .option('--command <name>', 'only this command')
    .option('--user <id>', 'only this user')
    .option(
      '--since <when>',
      'only runs accepted since then: 30m, 12h, 7d, or a time such as 2026-11-28T12:00:00Z',
      (text) => moment(text, deps.clock.now()),
    )
    .addOption(new Option('--door <door>', 'only this door').choices(['discord', 'http', 'kafka', 'api', 'cli']))
    .option('--grep <text>', 'only runs with this text in the request, the reason or a name')
    .option('--limit <n>', 'maximum number to show', positive('--limit'), 20)
    .option('--before <run>', `continue after this run, the last of the previous page (${REFERENCE})`)
    .option('-w, --watch', 'keep the list up to date')
    .addHelpText(
      'after',
      `
Examples:
  facteur runs list --state failed,error --since 24h
  facteur runs list --command plan -o wide
  facteur runs list --json runId,state,reason | jq .
  facteur runs list --state failed -o name | xargs -r facteur runs retry

live means queued, submitted or running. --door and --grep search only the
newest 10,000 runs that match the other filters.`,
    )
    .action((options: ListOptions) =>
      deps.withStore(io, { options }, async (store) => {
        const filter = await filterOf(options, store);
        if (options.watch === true) {
          await watchList(filter, options, { store, io, clock: deps.clock });
          return;
        }
        io.stdout.write(await listText(await store.listRuns(filter), options, { store, io, clock: deps.clock }));
      }),
    );
}

interface Listing {
  readonly store: RunStore;
  readonly io: CliIo;
  readonly clock: Clock;
}

async function listText(
  runs: readonly RunView[],
  options: OutputOptions,
  { store, io, clock }: Listing,
): Promise<string> {
  const asks = isForPeople(options) && runs.some(({ state }) => state === 'running');
  const waiting = asks ? await waitingSteps(store) : new Map();
  return listOutput(runs, options, {
    name: ({ runId }) => runId,
    text: (rows, wide) => runListing(rows, wide, { ...screenOf(io), now: clock.now(), waiting }),
  });
}

/** Maximum number of approvals that are read. */
const MAX_WAITING = 500;

async function waitingSteps(store: RunStore): Promise<Waiting> {
  const approvals = await store.listApprovals({ states: ['waiting'], limit: MAX_WAITING });
  return Map.groupBy(approvals, ({ runId }) => runId);
}

/** Redraws the list on a terminal; elsewhere, prints each change of a run once. */
async function watchList(filter: RunFilter, options: OutputOptions, listing: Listing): Promise<void> {
  const { io } = listing;
  const stop = AbortSignal.any([io.signal, io.outputClosed]);
  const redraws = io.stdout.isTTY && ['text', 'wide'].includes(formatOf(options));
  const seen = new Map<string, string>();
  const look = async (): Promise<string> => {
    const runs = await listing.store.listRuns(filter);
    const changed = runs.filter((run) => seen.get(run.runId) !== versionOf(run)).toReversed();
    const drawn = redraws ? runs : changed;
    const text = redraws || changed.length > 0 ? await listText(drawn, options, listing) : '';
    changed.forEach((run) => seen.set(run.runId, versionOf(run)));
    return redraws ? CLEAR + text : text;
  };
  io.stdout.write(await look());
  while (!stop.aborted) {
    await pause(WATCH_MS, stop);
    io.stdout.write((await lookAgain(look, { io, pauseMs: WATCH_MS, stop })) ?? '');
  }
}

function versionOf({ revision, state }: RunView): string {
  return `${revision} ${state}`;
}

async function filterOf(options: ListOptions, store: RunStore): Promise<RunFilter> {
  return {
    limit: options.limit,
    states: options.state,
    command: options.command?.replace(/^\//, ''),
    userId: options.user,
    since: options.since,
    door: options.door,
    text: options.grep === '' ? undefined : options.grep,
    before: options.before === undefined ? undefined : (await requireRun(store, options.before)).runId,
  };
}

const LIVE: readonly RunState[] = ['queued', 'submitted', 'running'];

function states(text: string): RunState[] {
  return text.split(',').flatMap((word) => {
    if (word.trim() === 'live') {
      return LIVE;
    }
    const state = RUN_STATES.find((known) => known === word.trim());
    if (state === undefined) {
      throw new UsageError(`--state: unknown state ${printable(word)}; expected live, ${RUN_STATES.join(', ')}`);
    }
    return [state];
  });
}

/** Reads a time as UTC, like all printed times, unless it has a zone. */
function timeOf(text: string): Date {
  const [, year, month, day = '1'] = /^(\d{4})-(\d\d)(?:-(\d\d))?/.exec(text) ?? [];
  // Needed because JavaScript reads February 31 as a day in March.
  if (new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() !== Number(day)) {
    return new Date(Number.NaN);
  }
  const isLocal = text.includes(':') && !/(?:[zZ]|[A-Z]{3}|[+-]\d\d:?\d\d)$/.test(text);
  return new Date(isLocal ? `${text}Z` : text);
}

/** A time, or an age such as `2h`. @throws UsageError */
function moment(text: string, now: Date): Date {
  const ago = parseAge(text);
  const at = ago === undefined ? timeOf(text) : new Date(now.getTime() - ago);
  if (Number.isNaN(at.getTime())) {
    throw new UsageError('--since: must be a duration such as 30m, 12h or 7d, or a time such as 2026-11-28T12:00:00Z');
  }
  return at;
}
