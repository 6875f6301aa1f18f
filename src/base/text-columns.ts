const WIDE = /[\p{Emoji_Presentation}\p{sc=Han}\p{sc=Hangul}\p{sc=Hiragana}\p{sc=Katakana}\uff01-\uff60]/u;
const CHARACTERS = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** The width of a text in terminal columns. */
export function columnsOf(text: string): number {
  return /^[ -~]*$/.test(text)
    ? text.length
    : charactersOf(text).reduce((sum, character) => sum + widthOf(character), 0);
}

/** The width of each column of a table, in terminal columns. */
export function widthsOf(rows: readonly (readonly string[])[]): readonly number[] {
  const widths = (rows[0] ?? []).map(() => 0);
  for (const row of rows) {
    row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, columnsOf(cell))));
  }
  return widths;
}

/** The characters that people see (grapheme clusters). */
export function charactersOf(text: string): readonly string[] {
  return Array.from(CHARACTERS.segment(text), ({ segment }) => segment);
}

/** The width of one character in terminal columns. */
export function widthOf(character: string): number {
  return WIDE.test(character) ? 2 : 1;
}
