import { errorMessage, FacteurError } from '../base/errors.ts';
import type { Timer } from '../base/timer.ts';
import type { DiscordClient } from '../clients/discord/client.ts';
import type { CommandDefinition } from '../domain/command.ts';
import type { Difference, Step } from '../entry/discord/registration-diff.ts';
import { applyStep, patiently, readPlan, type Patience } from '../entry/discord/registration-sync.ts';
import { registrationsIn } from '../entry/discord/registration.ts';
import { counted } from '../presentation/counted.ts';
import type { CliIo } from './io.ts';
import { isForPeople, itemOutput, type OutputOptions } from './output.ts';
import { printable } from './table.ts';

interface Sync {
  readonly io: CliIo;
  readonly client: DiscordClient;
  readonly timer: Timer;
  /** Undefined for global commands. */
  readonly guildId: string | undefined;
  readonly dryRun: boolean;
  readonly prune: boolean;
  /** How each step is printed. */
  readonly output: OutputOptions;
}

/** The longest wait for a rate limit, in milliseconds; a longer one is reported instead. */
const MAX_WAIT_MS = 120_000;

/** Registers commands that changed with Discord, and prints each step when it is done. */
export async function syncCommands(task: Sync, commands: Readonly<Record<string, CommandDefinition>>): Promise<void> {
  const { io, client, timer, guildId, dryRun, prune, output } = task;
  const patience: Patience = {
    timer,
    signal: io.signal,
    maxWaitMs: MAX_WAIT_MS,
    onWait: (ms) => io.stderr.write(`Discord asks to wait ${Math.ceil(ms / 1000)} s\n`),
  };
  // Text around the steps is only for people.
  const say = (text: string): void => {
    io.stdout.write(isForPeople(output) ? text : '');
  };
  const show = (difference: Difference): void => {
    const shape = { name: () => difference.name, text: () => lineOf(difference, prune) };
    io.stdout.write(itemOutput(recordOf(difference, prune), output, shape));
  };
  say(`${guildId === undefined ? 'global commands' : `commands of server ${guildId}`}\n`);
  const { differences, steps, noRoom } = await patiently(patience, () =>
    readPlan(client, guildId, registrationsIn(commands, guildId), () => () => prune),
  );
  say(elsewhere(commands, guildId));
  const undone = [...steps, ...noRoom];
  for (const difference of differences.filter((each) => !undone.some((step) => step === each))) {
    show(difference);
  }
  for (const [index, step] of steps.entries()) {
    if (!dryRun) {
      await patiently(patience, () => applyStep(client, guildId, step)).catch((error: unknown) => {
        throw index === 0 ? error : stopped(error, index, [...steps.slice(index), ...noRoom]);
      });
    }
    show(step);
  }
  if (noRoom.length > 0) {
    const names = noRoom.map(({ name }) => `/${printable(name)}`).join(', ');
    const hint = prune ? '' : '; --prune deletes those that are not wanted';
    const message = `Discord takes only 100 commands; ${count(dryRun ? 0 : steps.length)} made, no room for ${names}${hint}`;
    throw new FacteurError('commands.no_room', message, { retryable: false });
  }
  say(`${summary(steps.length, dryRun)}\n`);
}

/** One line for each command that is not registered here, because its template names other servers. */
function elsewhere(commands: Readonly<Record<string, CommandDefinition>>, guildId: string | undefined): string {
  return Object.entries(commands)
    .filter(([, { guilds }]) => guilds !== undefined && (guildId === undefined || !guilds.includes(guildId)))
    .map(
      ([name, { guilds = [] }]) => `  . /${printable(name)} exists only in server ${guilds.join(', ')}: use --guild\n`,
    )
    .join('');
}

/** Stops after a failed step: in particular, no command is deleted for one that could not be created. */
function stopped(error: unknown, made: number, left: readonly Step[]): FacteurError {
  const undone = left.map((step) => lineOf(step, true).trim().split('\n')[0]).join(', ');
  const message = `${errorMessage(error)}; ${count(made)} made, not done: ${undone}`;
  const retryable = error instanceof FacteurError && error.retryable;
  return new FacteurError('commands.incomplete', message, { retryable, cause: error });
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
      return prune ? `  - ${name}\n` : `  ? ${name} is not in the configuration; kept (--prune deletes it)\n`;
  }
}

/** For programs. */
function recordOf(difference: Difference, prune: boolean): object {
  const { kind, name } = difference;
  const action = { create: 'create', change: 'change', same: 'none', foreign: prune ? 'delete' : 'keep' }[kind];
  return { name, action, ...(difference.kind === 'change' ? { changes: difference.changes } : {}) };
}

function summary(changes: number, dryRun: boolean): string {
  if (changes === 0) {
    return 'nothing to change';
  }
  return dryRun ? `${count(changes)} to make; nothing was changed (--dry-run)` : `${count(changes)} made`;
}

function count(changes: number): string {
  return counted(changes, 'change');
}
