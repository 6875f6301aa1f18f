/** Index of the first element of a sorted list that `isBehind` says is behind some point; the length when none is. */
export function firstBehind<T>(list: readonly T[], isBehind: (element: T) => boolean): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    // In range by construction; the list may hold anything, so there is no value to compare with.
    if (isBehind(list[middle] as T)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}
