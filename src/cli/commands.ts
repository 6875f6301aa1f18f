import { Option, type Command } from 'commander';
import { stringify } from 'yaml';
import type { Timer } from '../base/timer.ts';
import { createDiscordClient } from '../clients/discord/client.ts';
import type { CommandDefinition, OptionDefinition } from '../domain/command.ts';
import type { CommandSnapshot } from '../dispatch/command-catalogue.ts';
import { SNOWFLAKE } from '../domain/snowflake.ts';
import { originOf, versionOf } from '../dispatch/explain.ts';
import { registrations } from '../entry/discord/registration.ts';
import { knownCommands, requiredCommands, type ClusterAccessFor } from './known-commands.ts';
import { registerLint } from './lint.ts';
import { readConfig } from './read-config.ts';
import { warnOfUnregistered, type LedgerFor } from './registration-problems.ts';
import { columnsText, type Column } from './columns.ts';
import { counted } from '../presentation/counted.ts';
import type { CliIo } from './io.ts';
import { formatOf, isForPeople, withOutput, type OutputOptions } from './output.ts';
import { UsageError, type RegisterCommand } from './program.ts';
import { withConfigOption } from './serve.ts';
import { syncCommands } from './sync-commands.ts';
import { screenOf } from './screen.ts';

interface SyncOptions extends OutputOptions {
  readonly config?: string;
  readonly guild?: string | true;
  readonly global?: true;
  readonly dryRun?: true;
  readonly prune?: true;
}

interface CommandsDeps {
  /** facteur's own version, for the `User-Agent`. */
  readonly version: string;
  readonly timer: Timer;
  readonly clusterAccess: ClusterAccessFor;
  readonly openLedger: LedgerFor;
}

/** `facteur commands list|sync|lint`: the slash commands, their registration with Discord, and their templates. */
export function commandsCommand(deps: CommandsDeps): RegisterCommand {
  return (program, io) => {
    const commands = program
      .command('commands')
      .description('list slash commands, register them with Discord, check their templates');
    registerList(commands, io, deps);
    registerSync(commands, io, deps);
    registerLint(commands, io, deps);
  };
}

type Listed = CommandSnapshot['listed'][number];

const COLUMNS: readonly Column<Listed>[] = [
  { heading: 'COMMAND', text: ({ name }) => `/${name}` },
  { heading: 'FROM', text: originText, flexible: true },
  { heading: 'ROLES', text: (listed) => whoMay(listed, ({ length }) => counted(length, 'role')), when: 'narrow' },
  { heading: 'ROLES', text: (listed) => whoMay(listed, (roles) => roles.join(',')), when: 'roomy', flexible: true },
  { heading: 'DESCRIPTION', text: aboutText, flexible: true },
  { heading: 'OPTIONS', text: ({ definition }) => inputs(definition), when: 'roomy', flexible: true },
];

function whoMay({ roles, problems }: Listed, named: (roles: readonly string[]) => string): string {
  if (problems.length > 0) {
    return 'nobody';
  }
  return roles.length === 0 ? 'anyone' : named(roles);
}

function originText({ definition }: Listed): string {
  return definition.template === undefined ? originOf(definition) : `template ${versionOf(definition.template)}`;
}

function aboutText({ definition, problems }: Listed): string {
  return problems.length > 0 ? `does not exist: ${problems.join('; ')}` : definition.description;
}

function registerList(commands: Command, io: CliIo, { clusterAccess, openLedger }: CommandsDeps): void {
  withConfigOption(commands.command('list'))
    .description('list the slash commands: built in, configured, and from workflow templates')
    .addHelpText(
      'after',
      "\nExamples:\n  facteur commands list -o wide\n  facteur commands list --json | jq '.[].name'",
    )
    .addOption(
      new Option('-o, --output <format>', 'lines of any length, or a format for programs').choices([
        'wide',
        'json',
        'yaml',
        'name',
      ]),
    )
    .option('--json', 'print the JSON that is sent to Discord; short for -o json')
    .action(async (options: OutputOptions & { readonly config?: string }) => {
      const { config } = await readConfig(io, { path: options.config, require: [] });
      const known = await knownCommands(io, config, clusterAccess);
      io.stdout.write(listText(known, options, io));
      if (isForPeople(options)) {
        await warnOfUnregistered(io, config, openLedger);
      }
    });
}

function listText({ commands, listed }: CommandSnapshot, options: OutputOptions, io: CliIo): string {
  switch (formatOf(options)) {
    case 'json':
      return `${JSON.stringify(registrations(commands), undefined, 2)}\n`;
    case 'yaml':
      return stringify(registrations(commands));
    case 'name':
      return Object.keys(commands)
        .map((name) => `${name}\n`)
        .join('');
    default:
      return columnsText(COLUMNS, listed, { ...screenOf(io), wide: options.output === 'wide' });
  }
}

/** `objective [project]`, or the fields of the form. */
function inputs({ options, modal }: CommandDefinition): string {
  const sign = ({ name, required }: Pick<OptionDefinition, 'name' | 'required'>): string =>
    required ? name : `[${name}]`;
  if (modal !== undefined) {
    return `(form: ${modal.fields.map(sign).join(' ')})`;
  }
  return options.map(sign).join(' ');
}

function registerSync(commands: Command, io: CliIo, { version, timer, clusterAccess }: CommandsDeps): void {
  withOutput(withConfigOption(commands.command('sync')))
    .description('register new and changed slash commands with Discord')
    .addHelpText('after', '\nExamples:\n  facteur commands sync --dry-run\n  facteur commands sync --prune')
    .addOption(
      new Option('--guild [id]', 'in one server (default: discord.guild_id, when it is set)')
        .argParser(serverId)
        .conflicts('global'),
    )
    .option('--global', 'in all servers; new commands may take an hour to appear')
    .option('--dry-run', 'show the difference and change nothing')
    .option('--prune', 'also delete slash commands that are not in the configuration')
    .action(async (options: SyncOptions) => {
      const { config } = await readConfig(io, { path: options.config, require: ['discord'] });
      const { discord } = config;
      // Includes the commands of templates, which --prune would delete otherwise.
      const { commands: wanted } = await requiredCommands(io, config, clusterAccess);
      const client = createDiscordClient({
        ...discord,
        version,
        proxies: config.proxies,
        elapsedMs: () => timer.elapsedMs(),
      });
      const { dryRun = false, prune = false } = options;
      try {
        const guildId = scopeOf(options, discord.guildId);
        await syncCommands({ io, client, timer, guildId, dryRun, prune, output: options }, wanted);
      } finally {
        await client.close();
      }
    });
}

/** Also keeps text that is not an id out of a URL. @throws UsageError */
function serverId(text: string): string {
  if (!SNOWFLAKE.test(text)) {
    throw new UsageError('--guild: must be the id of a server: 17 to 20 digits');
  }
  return text;
}

/** The guild to sync; undefined for global commands. */
function scopeOf({ guild, global }: SyncOptions, configured: string | undefined): string | undefined {
  if (global === true) {
    return undefined;
  }
  const named = typeof guild === 'string' ? guild : configured;
  if (guild !== undefined && named === undefined) {
    throw new UsageError('--guild: server id missing; give one or configure discord.guild_id');
  }
  return named;
}
