/** Some items, and where the next page starts; undefined after the last page. */
interface Page<T, From> {
  readonly items: readonly T[];
  readonly next: From | undefined;
}

/** Collects the wanted number of items page by page. A page may be shorter than requested without being the last. */
export async function collect<T, From>(
  limit: number,
  from: From | undefined,
  read: (wanted: number, from: From | undefined) => Promise<Page<T, From>>,
): Promise<readonly T[]> {
  const found: T[] = [];
  for (let next = from, isLast = false; !isLast && found.length < limit;) {
    const page = await read(limit - found.length, next);
    found.push(...page.items);
    next = page.next;
    isLast = next === undefined || page.items.length === 0;
  }
  return found;
}
