import type { Requirement } from '../config/config.ts';
import { formatFault } from '../config/fault.ts';
import { isEnabled, loadConfig, type ConfigResult, type LoadOptions } from '../config/load.ts';
import type { CliIo } from './io.ts';

/** The parts of the configuration that a command needs. */
interface ConfigRequest<R extends Requirement> {
  readonly path: string | undefined;
  /** The groups that must be complete. */
  readonly require: readonly R[];
  /** The groups that the command reads; by default all groups except those of Kafka consumers. */
  readonly reads?: LoadOptions['reads'];
  /** Called for each warning; default stderr. */
  readonly warn?: (warning: string) => void;
}

/** The groups that most commands read. A pod that runs no consumer may have an incomplete consumer configuration. */
const allButKafka = (group: string): boolean => group !== 'consumer' && group !== 'codex_listener';

/**
 * The configuration of a command. Its warnings are always printed, since a mistyped key is often the cause of another error.
 *
 * @throws ConfigError with the warnings
 */
export async function readConfig<R extends Requirement>(
  io: CliIo,
  { path, require, reads = allButKafka, warn }: ConfigRequest<R>,
): Promise<ConfigResult<R>> {
  const result = await loadConfig<R>({ ...loadOptions(io, path), require, reads });
  if (result.warnings.length > 0) {
    const told = warn ?? (await onTerminal(io));
    result.warnings.forEach((warning) => told(formatFault(warning)));
  }
  return result;
}

async function onTerminal({ stderr }: CliIo): Promise<(warning: string) => void> {
  // Loaded only for warnings: most starts have none.
  const { printable } = await import('./table.ts');
  return (warning) => stderr.write(`facteur: warning: ${printable(warning)}\n`);
}

/**
 * Whether the configuration enables the consumer, regardless of other errors. If not, warnings are printed, since
 * a mistyped key may be the cause.
 *
 * @throws ConfigError when that cannot be known
 */
export async function isConsumerEnabled(
  io: CliIo,
  path: string | undefined,
  warn: (warning: string) => void,
): Promise<boolean> {
  const { enabled, warnings } = await isEnabled('consumer', loadOptions(io, path));
  for (const warning of enabled ? [] : warnings) {
    warn(formatFault(warning));
  }
  return enabled;
}

/** Where a command finds its configuration. */
export function loadOptions(io: CliIo, path: string | undefined): LoadOptions {
  return { path, env: io.env, readFile: async (file) => (await io.readFile(file)).toString('utf8') };
}
