const WIDE = /[\p{Emoji_Presentation}\p{sc=Han}\p{sc=Hangul}\p{sc=Hiragana}\p{sc=Katakana}\uff01-\uff60]/u;
const CHARACTERS = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** How many columns of a terminal a text takes. */
export function columnsOf(text: string): number {
  return /^[ -~]*$/.test(text)
    ? text.length
    : charactersOf(text).reduce((sum, character) => sum + widthOf(character), 0);
}

/** How many columns of a terminal each cell of a row needs, with as many rows as there may be. */
export function widthsOf(rows: readonly (readonly string[])[]): readonly number[] {
  const widths = (rows[0] ?? []).map(() => 0);
  for (const row of rows) {
    row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, columnsOf(cell))));
  }
  return widths;
}

/** What people see as characters. */
export function charactersOf(text: string): readonly string[] {
  return Array.from(CHARACTERS.segment(text), ({ segment }) => segment);
}

/** Columns of one character. */
export function widthOf(character: string): number {
  return WIDE.test(character) ? 2 : 1;
}
