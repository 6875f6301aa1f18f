/** Index of the first element of a sorted list for which `isBehind` is true; the length if there is none. */
export function firstBehind<T>(list: readonly T[], isBehind: (element: T) => boolean): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    // In range by construction; elements may be undefined, so a check for undefined would be wrong.
    if (isBehind(list[middle] as T)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}
