import { columnsOf, widthsOf } from '../base/text-columns.ts';

/** Rows as aligned columns under their headings, for a terminal; the last column has no fixed width. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows].map((row) => row.map(printable));
  const widths = widthsOf(lines);
  const padded = (text: string, width = 0): string => text + ' '.repeat(Math.max(0, width - columnsOf(text)));
  return lines
    .map((line) =>
      line.map((cell, column) => (column === line.length - 1 ? cell : padded(cell, widths[column]))).join('  '),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** Text from outside must not move the cursor or forge a line. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) => {
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
  });
}
