/**
 * The candidate that `word` most likely means, or undefined if none is similar. Case, dashes and underscores are ignored, so
 * `listenAddress` finds `listen_address`.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = squeeze(word);
  // A third of the letters may be wrong; with more, the suggestion would be a guess.
  let best = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  let found: string | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, squeeze(candidate));
    if (distance < best) {
      best = distance;
      found = candidate;
    }
  }
  return found;
}

/** `; did you mean …?`, or nothing. */
export function suggestion(meant: string | undefined): string {
  return meant === undefined ? '' : `; did you mean ${meant}?`;
}

function squeeze(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, '');
}

/** How many letters must be added, dropped or changed; swapping two neighbors counts as one. */
function editDistance(a: string, b: string): number {
  // rows[i][j]: from the first i letters of the one to the first j of the other.
  const rows: number[][] = [];
  const at = (row: number, column: number): number => rows[row]?.[column] ?? Number.POSITIVE_INFINITY;
  for (let row = 0; row <= a.length; row += 1) {
    const current = [row];
    rows.push(current);
    for (let column = 1; column <= b.length; column += 1) {
      const changed = a[row - 1] === b[column - 1] ? 0 : 1;
      const isSwapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        at(row - 1, column - 1) + changed,
        at(row - 1, column) + 1,
        at(row, column - 1) + 1,
        isSwapped ? at(row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
  }
  return at(a.length, b.length);
}
