export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The level with this name, ignoring case. */
export function logLevel(name: string): LogLevel | undefined {
  return LOG_LEVELS.find((level) => level === name.trim().toLowerCase());
}
