import type { Command } from 'commander';
import { FacteurError } from '../../base/errors.ts';
import type { Queryable } from '../../clients/postgres/database.ts';
import {
  dropDeadLetter,
  findDeadLetter,
  listDeadLetters,
  type DeadLetter,
  type DeadLetterSummary,
} from '../../ledger/dead-letters.ts';
import { replayDeadLetter } from '../replay-dead-letter.ts';
import type { CliIo } from './io.ts';
import type { WithLedger } from './ledger-access.ts';
import type { RegisterCommand } from './program.ts';
import { UsageError } from './program.ts';
import { positive } from './runs.ts';
import { withConfigOption } from './serve.ts';
import { printable, table } from './table.ts';

interface CommonOptions {
  readonly config?: string;
  readonly json?: boolean;
}

/** `facteur dead-letters list|show|replay|drop`: what could not be processed, and what to do about it. */
export function deadLettersCommand(withLedger: WithLedger): RegisterCommand {
  return (program, io) => {
    const letters = program.command('dead-letters').description('what could not be processed: read, replay or drop it');
    registerList(letters, io, withLedger);
    registerShow(letters, io, withLedger);
    registerReplay(letters, io, withLedger);
    registerDrop(letters, io, withLedger);
  };
}

function registerList(letters: Command, io: CliIo, withLedger: WithLedger): void {
  withConfigOption(letters.command('list'))
    .description('list dead letters, oldest first')
    .option('--limit <n>', 'how many', '50')
    .option('--after <id>', 'go on after this one', '0')
    .option('--json', 'one JSON object a line')
    .action((options: CommonOptions & { readonly limit: string; readonly after: string }) =>
      withLedger(io, { configPath: options.config }, async ({ db }) => {
        const found = await listDeadLetters(db, positive(options.limit, '--limit'), letterId(options.after));
        io.stdout.write(
          options.json === true ? found.map((letter) => `${JSON.stringify(letter)}\n`).join('') : listing(found),
        );
      }),
    );
}

function registerShow(letters: Command, io: CliIo, withLedger: WithLedger): void {
  withConfigOption(letters.command('show'))
    .argument('<id>', 'from the list')
    .description('show one dead letter')
    .option('--json', 'print as JSON, the body in base64')
    .option('--body', 'write the body alone, byte by byte')
    .action((id: string, options: CommonOptions & { readonly body?: boolean }) =>
      withLedger(io, { configPath: options.config }, async ({ db }) => {
        const letter = await requireLetter(db, id);
        if (options.body === true) {
          io.stdout.write(letter.body);
        } else {
          const body = letter.body.toString('base64');
          io.stdout.write(options.json === true ? `${JSON.stringify({ ...letter, body })}\n` : details(letter));
        }
      }),
    );
}

function registerReplay(letters: Command, io: CliIo, withLedger: WithLedger): void {
  withConfigOption(letters.command('replay'))
    .argument('<ids...>', 'from the list')
    .description('send dead letters through their door again; what is accepted leaves the list')
    .action((ids: string[], options: CommonOptions) =>
      withLedger(io, { configPath: options.config, plans: true }, async ({ db, ...doors }) => {
        for (const id of ids) {
          const letter = await requireLetter(db, id);
          const receipt = await replayDeadLetter(letter, doors);
          await dropDeadLetter(db, letter.id);
          const known = receipt.duplicate ? ' (already known)' : '';
          io.stdout.write(`dead letter ${letter.id} became run ${receipt.runId}${known}\n`);
        }
      }),
    );
}

function registerDrop(letters: Command, io: CliIo, withLedger: WithLedger): void {
  withConfigOption(letters.command('drop'))
    .argument('<ids...>', 'from the list')
    .description('forget dead letters for good')
    .action((ids: string[], options: CommonOptions) =>
      withLedger(io, { configPath: options.config }, async ({ db }) => {
        for (const id of ids) {
          await requireLetter(db, id);
          await dropDeadLetter(db, id);
          io.stdout.write(`dead letter ${id} dropped\n`);
        }
      }),
    );
}

async function requireLetter(db: Queryable, id: string): Promise<DeadLetter> {
  const letter = await findDeadLetter(db, letterId(id));
  if (letter === undefined) {
    throw new FacteurError('dead_letter.unknown', `there is no dead letter ${id}`, { retryable: false });
  }
  return letter;
}

function letterId(text: string): string {
  if (!/^\d{1,18}$/.test(text)) {
    throw new UsageError(`a dead letter's id is a number, not ${printable(text)}`);
  }
  return text;
}

function listing(letters: readonly DeadLetterSummary[]): string {
  if (letters.length === 0) {
    return 'no dead letters\n';
  }
  const rows = letters.map((letter) => [
    letter.id,
    letter.createdAt.toISOString().slice(0, 19).replace('T', ' '),
    letter.door,
    String(letter.bytes),
    letter.deliveryId,
    letter.reason,
  ]);
  return table(['ID', 'SINCE (UTC)', 'DOOR', 'BYTES', 'DELIVERY', 'REASON'], rows);
}

function details(letter: DeadLetter): string {
  const { body, headers, ...rest } = letter;
  const fields = Object.entries(rest).map(([name, value]) => [
    `${name}:`,
    value instanceof Date ? value.toISOString() : String(value),
  ]);
  const headerLines = Object.entries(headers).map(([name, value]) => [name, value]);
  return `${table(['DEAD LETTER', ''], fields)}\n${table(['HEADER', ''], headerLines)}\n${printable(body.toString('utf8').slice(0, 4000))}\n`;
}
