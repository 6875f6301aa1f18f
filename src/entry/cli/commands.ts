import { setTimeout } from 'node:timers/promises';
import { Option, type Command } from 'commander';
import { createDiscordClient, type DiscordClient } from '../../clients/discord/client.ts';
import { DiscordError } from '../../clients/discord/errors.ts';
import { loadConfig } from '../../config/load.ts';
import type { CommandDefinition, OptionDefinition } from '../../domain/command.ts';
import { diffRegistrations, type Difference } from '../discord/registration-diff.ts';
import { registrations } from '../discord/registration.ts';
import { loadOptions } from './config.ts';
import type { CliIo } from './io.ts';
import { UsageError, type RegisterCommand } from './program.ts';
import { withConfigOption } from './serve.ts';
import { printable, table } from './table.ts';

interface SyncOptions {
  readonly config?: string;
  readonly guild?: string | true;
  readonly global?: true;
  readonly dryRun?: true;
  readonly prune?: true;
}

/** A longer wait than this is better seen by a person than sat through. */
const MAX_WAIT_MS = 120_000;

/** `facteur commands list|sync`: the slash commands, and Discord's registration of them. */
export function commandsCommand(version: string): RegisterCommand {
  return (program, io) => {
    const commands = program.command('commands').description('the slash commands, and their registration with Discord');
    registerList(commands, io);
    registerSync(commands, io, version);
  };
}

function registerList(commands: Command, io: CliIo): void {
  withConfigOption(commands.command('list'))
    .description('list the slash commands: those out of the box and those of the configuration')
    .option('--json', 'print as Discord is told, as JSON')
    .action(async (options: { readonly config?: string; readonly json?: true }) => {
      const { config } = await loadConfig({ ...loadOptions(io, options.config), require: [] });
      if (options.json === true) {
        io.stdout.write(`${JSON.stringify(registrations(config.commands), undefined, 2)}\n`);
        return;
      }
      const rows = Object.entries(config.commands).map(([name, definition]) => [
        `/${name}`,
        definition.configured ? 'configured' : 'built in',
        config.roleMap[name] === undefined || config.roleMap[name].length === 0
          ? 'anyone'
          : config.roleMap[name].join(','),
        [...inputs(definition), definition.description].join('  '),
      ]);
      io.stdout.write(table(['COMMAND', 'FROM', 'ROLES', 'INPUT AND DESCRIPTION'], rows));
    });
}

/** `objective [project]`, or the fields of the form. */
function inputs({ options, modal }: CommandDefinition): readonly string[] {
  const sign = ({ name, required }: Pick<OptionDefinition, 'name' | 'required'>): string =>
    required ? name : `[${name}]`;
  if (modal !== undefined) {
    return [`(form: ${modal.fields.map(sign).join(' ')})`];
  }
  return options.length === 0 ? [] : [options.map(sign).join(' ')];
}

function registerSync(commands: Command, io: CliIo, version: string): void {
  withConfigOption(commands.command('sync'))
    .description('bring Discord’s registration to the configuration, by difference')
    .addOption(
      new Option('--guild [id]', 'in one server (default: discord.guild_id, when it is set)').conflicts('global'),
    )
    .option('--global', 'for all servers; new ones may take an hour to show')
    .option('--dry-run', 'show the difference and change nothing')
    .option('--prune', 'also delete slash commands that the configuration does not have')
    .action(async (options: SyncOptions) => {
      const { config } = await loadConfig({ ...loadOptions(io, options.config), require: ['discord'] });
      const { discord } = config;
      const client = createDiscordClient({ ...discord, version });
      try {
        await sync({ io, client, guildId: scopeOf(options, discord.guildId), options }, config.commands);
      } finally {
        await client.close();
      }
    });
}

/** Undefined is global. */
function scopeOf({ guild, global }: SyncOptions, configured: string | undefined): string | undefined {
  if (global === true) {
    return undefined;
  }
  const named = typeof guild === 'string' ? guild : configured;
  if (guild !== undefined && named === undefined) {
    throw new UsageError('--guild: name a server, or configure discord.guild_id');
  }
  return named;
}

interface Sync {
  readonly io: CliIo;
  readonly client: DiscordClient;
  readonly guildId: string | undefined;
  readonly options: SyncOptions;
}

async function sync(task: Sync, commands: Readonly<Record<string, CommandDefinition>>): Promise<void> {
  const { io, client, guildId, options } = task;
  io.stdout.write(`${guildId === undefined ? 'global commands' : `commands of server ${guildId}`}\n`);
  const registered = await patiently(task, () => client.listCommands(guildId));
  const differences = diffRegistrations(registrations(commands), registered);
  let changes = 0;
  for (const difference of differences) {
    const isChange = difference.kind !== 'same' && (difference.kind !== 'foreign' || options.prune === true);
    if (isChange && options.dryRun !== true) {
      await patiently(task, () => apply(difference, task));
    }
    changes += isChange ? 1 : 0;
    io.stdout.write(lineOf(difference, options.prune === true));
  }
  io.stdout.write(`${summary(changes, options.dryRun === true)}\n`);
}

async function apply(difference: Difference, { client, guildId }: Sync): Promise<unknown> {
  switch (difference.kind) {
    case 'create':
      return client.createCommand(guildId, difference.wanted as Parameters<DiscordClient['createCommand']>[1]);
    case 'change': {
      const { description, options } = difference.wanted;
      const change = { description, options } as Parameters<DiscordClient['editCommand']>[2];
      return client.editCommand(guildId, difference.id, change);
    }
    case 'foreign':
      return client.deleteCommand(guildId, difference.id);
    case 'same':
      return undefined;
  }
}

function lineOf(difference: Difference, prune: boolean): string {
  const name = `/${printable(difference.name)}`;
  switch (difference.kind) {
    case 'create':
      return `  + ${name}\n`;
    case 'change':
      return `  ~ ${name}\n${difference.changes.map((change) => `      ${printable(change)}\n`).join('')}`;
    case 'same':
      return `  = ${name}\n`;
    case 'foreign':
      return prune ? `  - ${name}\n` : `  ? ${name} is not in the configuration; left alone (--prune deletes it)\n`;
  }
}

function summary(changes: number, dryRun: boolean): string {
  if (changes === 0) {
    return 'nothing to change';
  }
  const what = changes === 1 ? '1 change' : `${changes} changes`;
  return dryRun ? `${what} to make; nothing was changed (--dry-run)` : `${what} made`;
}

/** Waits as long as Discord asks to, within reason: making many commands at once runs into its limits. */
async function patiently<T>({ io }: Sync, work: () => Promise<T>): Promise<T> {
  let waitedMs = 0;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const waitMs =
        error instanceof DiscordError && error.code === 'discord.rate_limited' ? error.retryAfterMs : undefined;
      if (waitMs === undefined || waitedMs + waitMs > MAX_WAIT_MS) {
        throw error;
      }
      io.stderr.write(`Discord asks to wait ${Math.ceil(waitMs / 1000)} s\n`);
      await setTimeout(waitMs, undefined, { signal: io.signal });
      waitedMs += waitMs;
    }
  }
}
