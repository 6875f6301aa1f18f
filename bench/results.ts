/**
 * The result of a bench: `bench/results/NAME.json`, from which `npm run performance` generates the tables in docs/performance.md.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';

const spread = z.strictObject({ median: z.number(), low: z.number(), high: z.number() });

const table = z.strictObject({
  columns: z.array(z.string()),
  rows: z.array(z.array(z.union([z.string(), z.number(), z.null(), spread]))),
});

const machine = z.strictObject({
  processor: z.string(),
  cores: z.number(),
  memoryGiB: z.number(),
  kernel: z.string(),
  node: z.string(),
  postgres: z.string(),
  fsync: z.string(),
  synchronousCommit: z.string(),
});

const RESULT = z.strictObject({
  date: z.iso.date(),
  commit: z.string(),
  /** Whether the files differed from that commit. */
  dirty: z.boolean().optional(),
  build: z.enum(['production', 'sources']),
  method: z.string(),
  /** Missing in old results, which only have the kind of machine. */
  machine: machine.optional(),
  /** Other load when the bench began. */
  before: z.strictObject({ loadAverage: z.number(), processes: z.array(z.string()) }).optional(),
  tables: z.record(z.string(), table),
});

/** Several measurements of the same thing. */
export type Spread = z.infer<typeof spread>;
export type Table = z.infer<typeof table>;
export type BenchResult = z.infer<typeof RESULT>;

const FOLDER = join(import.meta.dirname, 'results');

/** Where a bench writes its result. BENCH_RESULTS names another folder, for a trial that must not change the document. */
export function resultPath(bench: string): string {
  return join(process.env['BENCH_RESULTS'] ?? FOLDER, `${bench}.json`);
}

/** The result in the repository. */
export function readResult(bench: string): BenchResult {
  return RESULT.parse(JSON.parse(readFileSync(join(FOLDER, `${bench}.json`), 'utf8')));
}

/** Median, lowest and highest of the measurements; null without any. */
export function spreadOf(values: readonly number[]): Spread | null {
  const sorted = values.toSorted((a, b) => a - b);
  const [low] = sorted;
  const [middle, next] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  const high = sorted.at(-1);
  if (low === undefined || middle === undefined || next === undefined || high === undefined) {
    return null;
  }
  // More digits would only make the file harder to read.
  const short = (value: number): number => Number(value.toPrecision(4));
  return { median: short((middle + next) / 2), low: short(low), high: short(high) };
}

/** The table as Markdown, padded like the formatter's output. */
export function renderTable({ columns, rows }: Table): string {
  const whole = columns.map((_, column) => rows.every((row) => isWhole(row[column])));
  const lines = [columns, ...rows.map((row) => row.map((cell, column) => renderCell(cell, whole[column] === true)))];
  const widths = columns.map((_, column) => Math.max(3, ...lines.map((line) => (line[column] ?? '').length)));
  const [head = '', ...body] = lines.map(
    (line) => `| ${widths.map((width, column) => (line[column] ?? '').padEnd(width)).join(' | ')} |`,
  );
  return [head, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body].join('\n');
}

/** The origin of a result: date, commit, method, machine, and other load. */
export function renderOrigin({ date, commit, dirty, build, method, machine: on, before }: BenchResult): string {
  const what = `\`${commit}\`${dirty === true ? ' with changes' : ''}`;
  const parts = [`Measured on ${date} at ${what}, ${build === 'production' ? 'production build' : 'from the sources'}`];
  if (on !== undefined) {
    parts.push(
      `${on.cores} cores of ${on.processor}, ${on.memoryGiB} GiB, Linux ${on.kernel}, Node ${on.node}, PostgreSQL ${on.postgres} ` +
        `with fsync ${on.fsync} and synchronous_commit ${on.synchronousCommit}`,
    );
  }
  if (before !== undefined) {
    const others = before.processes.length === 0 ? 'nothing else ran' : `beside it ran ${before.processes.join(', ')}`;
    parts.push(`load average before ${before.loadAverage}, ${others}`);
  }
  return `${[parts[0], method, ...parts.slice(1)].filter((part) => part !== '').join('; ')}.`;
}

type TableCell = Table['rows'][number][number] | undefined;

function isWhole(cell: TableCell): boolean {
  const numbers = typeof cell === 'object' && cell !== null ? Object.values(cell) : [cell];
  return numbers.every((each) => typeof each !== 'number' || Number.isInteger(each));
}

function renderCell(cell: TableCell, whole: boolean): string {
  if (typeof cell === 'number') {
    return renderNumber(cell, whole);
  }
  if (typeof cell !== 'object' || cell === null) {
    return cell ?? '';
  }
  const [median = '', low = '', high = ''] = [cell.median, cell.low, cell.high].map((value) =>
    renderNumber(value, whole),
  );
  return low === high ? median : `${median} (${low}–${high})`;
}

/** A number with only the significant digits. */
function renderNumber(value: number, whole: boolean): string {
  const size = Math.abs(value);
  const digits = whole || size >= 100 ? 0 : 1 + Number(size < 10);
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
