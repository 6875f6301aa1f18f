import { ConfigError, formatFault } from '../../src/config/fault.ts';
import type { Environment } from '../../src/config/environment.ts';
import type { ConfigResult } from '../../src/config/load.ts';
import { loadConfig } from '../../src/config/load.ts';

/** The minimum that facteur needs to start, without any other server. */
export const MINIMAL_ENV: Environment = {
  FACTEUR_DISCORD_BOT_TOKEN: 'token',
  FACTEUR_DISCORD_APPLICATION_ID: '123456789012345678',
  FACTEUR_REDIS_URL: 'memory://',
  FACTEUR_POSTGRES_DSN: 'pglite:memory',
  FACTEUR_ARGO_NAMESPACE: 'argo',
  FACTEUR_ARGO_WORKFLOW_TEMPLATE: 'facteur-dispatch',
};

/** The same, without anything that `config check` warns about. */
export const CLOSED_ENV: Environment = {
  ...MINIMAL_ENV,
  FACTEUR_SERVER_LISTEN_ADDRESS: '127.0.0.1:8080',
  FACTEUR_DISCORD_GUILD_ID: '123456789012345678',
};

/** Loads a file `facteur.yaml` with this text, and the minimal environment. */
export async function loadYaml(yaml: string, env: Environment = {}): Promise<ConfigResult> {
  return loadConfig({ path: 'facteur.yaml', env: { ...MINIMAL_ENV, ...env }, readFile: async () => yaml });
}

/** The faults of such a file as printed; throws if there are none. */
export async function faultsOf(yaml: string, env: Environment = {}): Promise<readonly string[]> {
  const outcome: unknown = await loadYaml(yaml, env).catch((error: unknown) => error);
  if (outcome instanceof ConfigError) {
    return outcome.faults.map(formatFault);
  }
  throw new Error('the configuration has no fault, though it should');
}
