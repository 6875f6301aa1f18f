/** Some items, and from where the next page continues; undefined after the last one. */
interface Page<T, From> {
  readonly items: readonly T[];
  readonly next: From | undefined;
}

/** As many as are wanted, page by page. A page may have fewer than were asked for and not be the last one. */
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
