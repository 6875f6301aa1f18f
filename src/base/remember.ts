/**
 * Keeps what `make` makes, from the first call on. All callers wait for the same attempt; a failure is not kept, so the next
 * call tries again.
 */
export function remember<T>(make: () => Promise<T>): () => Promise<T> {
  let kept: Promise<T> | undefined;
  return () => {
    if (kept === undefined) {
      const made = make();
      kept = made;
      made.catch(() => {
        kept = undefined;
      });
    }
    return kept;
  };
}
