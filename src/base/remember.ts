/**
 * Keeps the result of `make` from the first call on. All callers wait for the same attempt. A failure is not kept: the next call
 * retries.
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
