import type { Command } from 'commander';
import { FacteurError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { apiClient } from '../clients/facteur/client.ts';
import { formatFault } from '../config/fault.ts';
import { apiStore } from './api-store.ts';
import type { CliIo } from './io.ts';
import type { WithLedger } from './ledger-access.ts';
import { ledgerStore } from './ledger-store.ts';
import { UsageError } from './program.ts';
import type { RunStore } from './run-store.ts';
import { withConfigOption } from './serve.ts';
import { printable } from './table.ts';

/** Options that select the store. */
export interface StoreOptions {
  readonly config?: string;
  readonly server?: string;
  readonly token?: string;
  /** The name to record as the requester; a server uses the token's name. */
  readonly by?: string;
}

/** Opens the store for the duration of `work`. `plans` is set if runs may be planned, which needs more configuration. */
export type WithStore = <T>(
  io: CliIo,
  request: { readonly options: StoreOptions; readonly plans?: boolean },
  work: (store: RunStore) => Promise<T>,
) => Promise<T>;

/** `--config`, `--server` and `--token`, which every command on a store takes. */
export function withStoreOptions(command: Command): Command {
  return withConfigOption(command)
    .option('--server <url>', 'use a running facteur instead of the database (default: FACTEUR_SERVER)')
    .option(
      '--token <token>',
      'bearer token for --server (default: FACTEUR_TOKEN; prefer it, because arguments show in ps)',
    );
}

/** Opens the given server, else the configured ledger. */
export function storeAccess(withLedger: WithLedger): WithStore {
  return async (io, { options, plans = false }, work) => {
    const server = serverOf(options, io);
    if (server === '') {
      return withLedger(io, { configPath: options.config, plans }, (access) => work(ledgerStore(access)));
    }
    if (options.by !== undefined) {
      throw new UsageError('--by: the server records the name of the token');
    }
    await warnOfUnknownVariables(io);
    const token = options.token ?? io.env['FACTEUR_TOKEN'] ?? '';
    const call = apiClient({
      server: serverUrl(server),
      token: token === '' ? undefined : tokenOf(token),
      fetch: (url, init) => io.fetch(url, init),
      signal: io.signal,
    });
    return work(apiStore((operation, request) => call(operation, request).catch(explainToken)));
  };
}

/** The option `--config` takes precedence over the variable `FACTEUR_SERVER`. */
function serverOf({ server, config }: StoreOptions, io: CliIo): string {
  if (server !== undefined && config !== undefined) {
    throw new UsageError('--config: a running facteur has its own; give either --server or --config');
  }
  return server ?? (config === undefined ? (io.env['FACTEUR_SERVER'] ?? '') : '');
}

/** Adds a hint about the token: the server does not know how the command line gets it. */
function explainToken(error: unknown): never {
  if (error instanceof FacteurError && error.code === 'api.unauthorized') {
    const { code, message, retryable } = error;
    const hinted = `${message}; set FACTEUR_TOKEN to one of its server.api_tokens`;
    throw new FacteurError(code, hinted, { retryable, cause: error });
  }
  throw error;
}

/** Used with a server; with the ledger, the configuration warns itself. The keys are loaded only if there is another variable. */
async function warnOfUnknownVariables(io: CliIo): Promise<void> {
  const others = Object.keys(io.env).filter((name) => name.startsWith('FACTEUR_') && !OWN_VARIABLES.has(name));
  if (others.length > 0) {
    const [{ listKeys }, { unknownVariables }] = await Promise.all([
      import('../config/keys.ts'),
      import('../config/environment.ts'),
    ]);
    for (const fault of unknownVariables(listKeys(), io.env)) {
      io.stderr.write(`facteur: warning: ${printable(formatFault(fault))}\n`);
    }
  }
}

const OWN_VARIABLES: ReadonlySet<string> = new Set(['FACTEUR_SERVER', 'FACTEUR_TOKEN', 'FACTEUR_CONFIG_FILE']);

/** The error does not quote the value, which may contain a secret. */
function serverUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new UsageError('--server: must be an http or https URL without a user or a password');
  }
  return url;
}

function tokenOf(text: string): Secret {
  if (!/^[\u0021-\u007e]{1,8192}$/.test(text)) {
    throw new UsageError('--token: must be printable ASCII without spaces');
  }
  return new Secret(text);
}
