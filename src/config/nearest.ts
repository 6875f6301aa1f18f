/**
 * The candidate that somebody most likely meant by `word`, or none when nothing is near. Case, dashes and underscores do
 * not count, so `listenAddress` finds `listen_address`.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = squeeze(word);
  // A third of the letters may be wrong: more, and the suggestion would be a guess.
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

function squeeze(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, '');
}

/** Levenshtein's distance: how many letters must be added, dropped or changed. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [row, letter] of [...a].entries()) {
    const current = [row + 1];
    for (let column = 0; column < b.length; column += 1) {
      const changed = (previous[column] ?? 0) + (b[column] === letter ? 0 : 1);
      current.push(Math.min(changed, (previous[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1));
    }
    previous = current;
  }
  return previous.at(-1) ?? 0;
}
