/** A map without a prototype, so that looking up `constructor`, which a user may send as a command, finds nothing. */
export function dictionary<T>(entries: Iterable<readonly [string, T]>): Readonly<Record<string, T>> {
  const map = Object.create(null) as Record<string, T>;
  for (const [name, value] of entries) {
    map[name] = value;
  }
  return map;
}

/** The properties that have a value: optional ones are absent rather than undefined. */
export function present<T extends object>(properties: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
