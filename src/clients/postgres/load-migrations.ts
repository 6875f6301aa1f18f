import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { FacteurError } from '../../base/errors.ts';

/** One numbered SQL file. */
export interface Migration {
  /** Counts from 1, without gaps. */
  readonly version: number;
  /** The file's name: `000001_init_codex_kb.sql`. */
  readonly name: string;
  readonly sql: string;
  /** In hex, of the text with `\n` line ends, to be the same for a checkout on Windows. */
  readonly sha256: string;
  /**
   * False if the first line says `-- no-transaction`: then each statement runs on its own, as CONCURRENTLY requires.
   */
  readonly transactional: boolean;
  /** True if the first line says `-- breaking`: versions without this migration cannot work on the migrated database. */
  readonly breaking: boolean;
}

const FILE_NAME = /^(\d{6})_[a-z0-9_]+\.sql$/;

/**
 * Reads the numbered SQL files of a directory, in order; other files are ignored.
 *
 * @throws FacteurError `migrations.invalid` when numbers repeat, have a gap or do not begin at 1
 */
export async function loadMigrations(directory: URL): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => FILE_NAME.test(name)).toSorted();
  if (names.length === 0) {
    throw invalid(`${directory.pathname} has no migrations`);
  }
  for (const [index, name] of names.entries()) {
    if (Number(name.slice(0, 6)) !== index + 1) {
      throw invalid(`${name} should be number ${index + 1}: migrations are numbered without gaps`);
    }
  }
  // For small files, Node's thread pool costs several times as much as reading them synchronously.
  return names.map((name) => parseMigration(name, readFileSync(new URL(name, directory), 'utf8')));
}

/** A migration from its file name and text. */
export function parseMigration(name: string, text: string): Migration {
  const sql = text.replaceAll('\r\n', '\n');
  const marks = /^-- ([a-z, -]+)\n/.exec(sql)?.[1]?.split(', ') ?? [];
  return {
    version: Number(name.slice(0, 6)),
    name,
    sql,
    sha256: hash('sha256', sql),
    transactional: !marks.includes('no-transaction'),
    breaking: marks.includes('breaking'),
  };
}

/**
 * The statements of a migration without a transaction. They end with `;` at the end of a line, except between `$$` and `$$`.
 */
export function splitStatements(sql: string): string[] {
  const statements = [''];
  for (const part of sql.replaceAll(/^[ \t]*--.*$/gm, '').split(/(?<=;)[ \t]*(?:\n|$)/)) {
    const before = statements.at(-1) ?? '';
    if (before.split('$$').length % 2 === 0) {
      statements[statements.length - 1] = `${before}\n${part}`;
    } else {
      statements.push(part);
    }
  }
  return statements.map((text) => text.trim().replace(/;$/, '')).filter((text) => text !== '');
}

function invalid(message: string): FacteurError {
  return new FacteurError('migrations.invalid', message, { retryable: false });
}
