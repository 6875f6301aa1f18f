import type { Database } from '../clients/postgres/database.ts';
import type { Config } from '../config/config.ts';
import type { CommandCatalogue } from '../dispatch/command-catalogue.ts';
import { CommandRegistrar } from '../entry/discord/command-registrar.ts';
import { RENEWAL_MS } from '../follow/deps.ts';
import { LeaseKeeper } from '../follow/lease-keeper.ts';
import { claimLease } from '../ledger/leases.ts';
import type { Clients } from './clients.ts';
import type { AppContext } from './context.ts';

interface RegistrationParts {
  readonly db: Database;
  readonly clients: Pick<Clients, 'discord'>;
  readonly catalogue: CommandCatalogue;
}

const LEASE = 'commands';

/** Keeps the commands registered with Discord, in one process at a time; undefined if not configured. */
export function commandRegistration(
  { discord }: Pick<Config, 'discord'>,
  { logger, timer, random, newId }: AppContext,
  { db, clients, catalogue }: RegistrationParts,
): LeaseKeeper | undefined {
  if (!discord.registerCommands) {
    return undefined;
  }
  const { applicationId, guildId } = discord;
  const registrar = new CommandRegistrar({
    ...{ db, catalogue, applicationId, guildId, timer, logger },
    discord: clients.discord,
  });
  return new LeaseKeeper({
    ...{ db, logger, random },
    name: LEASE,
    holder: newId(),
    lifeMs: 2 * RENEWAL_MS,
    work: (signal) => registrar.run(signal),
    claim: (request) => claimLease(db, request),
  });
}
