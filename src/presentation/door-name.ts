const DOOR_NAMES: Readonly<Record<string, string>> = {
  discord: 'Discord',
  http: 'HTTP',
  kafka: 'Kafka',
  api: 'the API',
  cli: 'the command line',
};

/** What people call the door of a run, as in "via the API"; undefined for an unknown one. */
export function doorName(door: string): string | undefined {
  return Object.hasOwn(DOOR_NAMES, door) ? DOOR_NAMES[door] : undefined;
}
