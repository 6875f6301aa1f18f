import { errorMessage } from '../base/errors.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { Config, ConfigWith } from '../config/config.ts';
import type { CliIo } from './io.ts';
import { printable } from './table.ts';

/** Opens the configured ledger for a command line. */
export type LedgerFor = (io: CliIo, config: Pick<Config, 'postgres'>) => Promise<Database>;

/** Warns of commands that a running facteur could not register with Discord, if registration is configured. */
export async function warnOfUnregistered(
  io: CliIo,
  { discord, postgres }: Pick<ConfigWith<never>, 'discord' | 'postgres'>,
  openLedger: LedgerFor,
): Promise<void> {
  if (discord?.registerCommands !== true || postgres === undefined) {
    return;
  }
  const warn = (text: string): void => {
    io.stderr.write(`facteur: warning: ${printable(text)}\n`);
  };
  try {
    const { registrationProblems } = await import('../ledger/registered-commands.ts');
    const db = await openLedger(io, { postgres });
    try {
      const problems = await registrationProblems(db, discord.applicationId);
      problems.forEach((problem) => warn(`not registered with Discord: ${problem}`));
    } finally {
      await db.close();
    }
  } catch (error) {
    warn(`cannot tell what is registered with Discord: ${errorMessage(error)}`);
  }
}
