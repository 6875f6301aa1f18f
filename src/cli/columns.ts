import { columnsOf, widthsOf } from '../base/text-columns.ts';
import { fitted, paint, type Colour, type Screen } from './screen.ts';
import { printable } from './table.ts';

/** One column of a list for people. */
export interface Column<Row> {
  readonly heading: string;
  readonly text: (row: Row) => string;
  readonly colour?: (row: Row) => Colour | undefined;
  /** `narrow`: below 100 columns; `roomy`: from there on; `ample`: from 160 on; `wide`: only with `-o wide`; else always. */
  readonly when?: 'narrow' | 'roomy' | 'ample' | 'wide';
  /** May be shortened if the line is too long for the screen; the widest column is shortened first. */
  readonly flexible?: true;
}

const ROOMY = 100;
const AMPLE = 160;
const GAP = '  ';
/** Minimum width of a flexible column. */
const LEAST = 10;

/** Rows in columns that fit the screen. Without a width, or with `wide`, lines have any length. */
export function columnsText<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { wide, ...screen }: Screen & { readonly wide: boolean },
): string {
  const { width = Infinity } = screen;
  const shown = columns.filter(({ when }) => isShown(when, wide ? 'wide' : width));
  const cells = rows.map((row) => shown.map(({ text }) => printable(text(row))));
  const natural = widthsOf([shown.map(({ heading }) => heading), ...cells]);
  const widths = wide ? natural : squeezed(shown, natural, width);
  const lineOf = (texts: readonly string[], colours: readonly (Colour | undefined)[]): string =>
    texts
      .map((text, at) =>
        cell(text, { last: at === shown.length - 1, width: widths[at] ?? 0, colour: colours[at] }, screen),
      )
      .join(GAP);
  const heading = lineOf(
    shown.map((column) => column.heading),
    shown.map(() => 'bold'),
  );
  const lines = cells.map((texts, at) =>
    lineOf(
      texts,
      shown.map(({ colour }) => (rows[at] === undefined ? undefined : colour?.(rows[at]))),
    ),
  );
  return [heading, ...lines].map((line) => `${line.trimEnd()}\n`).join('');
}

/**
 * A list as text for people, or `none` if it is empty.
 *
 * @param none without a newline
 */
export function listText<Row>(
  screen: Screen,
  columns: readonly Column<Row>[],
  none: string,
): (rows: readonly Row[], wide: boolean) => string {
  return (rows, wide) => (rows.length === 0 ? `${none}\n` : columnsText(columns, rows, { ...screen, wide }));
}

function isShown(when: Column<never>['when'], room: number | 'wide'): boolean {
  if (when === undefined || room === 'wide') {
    return when !== 'narrow';
  }
  return { narrow: room < ROOMY, roomy: room >= ROOMY, ample: room >= AMPLE, wide: false }[when];
}

function squeezed<Row>(columns: readonly Column<Row>[], natural: readonly number[], width: number): readonly number[] {
  const widths = [...natural];
  const flexible = [...columns.keys()].filter((at) => columns[at]?.flexible === true);
  const excess = (): number => widths.reduce((sum, one) => sum + one, GAP.length * (widths.length - 1)) - width;
  for (const at of flexible) {
    widths[at] = Math.min(widths[at] ?? 0, width);
  }
  while (excess() > 0) {
    const widest = flexible.reduce(
      (best, at) => ((widths[at] ?? 0) >= (widths[best] ?? 0) ? at : best),
      flexible[0] ?? 0,
    );
    if (flexible.length === 0 || (widths[widest] ?? 0) <= LEAST) {
      break;
    }
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

function cell(
  text: string,
  { last, width, colour }: { readonly last: boolean; readonly width: number; readonly colour: Colour | undefined },
  screen: Screen,
): string {
  const short = fitted(text, width);
  return paint(short, colour, screen) + (last ? '' : ' '.repeat(Math.max(0, width - columnsOf(short))));
}
