/**
 * Writes the tables of docs/performance.md, from the bench results in `bench/results/`, between the markers in the page. The
 * marker `<!-- bench kafka doors -->` starts the table `doors` of `kafka.json`; without a table name, it starts the origin of all
 * results. Run it after a bench; `scripts/generate-performance.test.ts` fails until then.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readResult, renderOrigin, renderTable } from '../bench/results.ts';

/** The page, in the repository. */
export const PAGE = join('docs', 'performance.md');

/** The page with tables from the results; other text is unchanged. */
export function fillPage(page: string): string {
  return page.replace(
    /(<!-- bench ([\w-]+)(?: ([\w-]+))? -->\n).*?(?=<!-- \/bench -->)/gs,
    (_, marker: string, bench: string, table?: string) => `${marker}\n${fill(bench, table)}\n\n`,
  );
}

function fill(bench: string, name: string | undefined): string {
  const result = readResult(bench);
  if (name === undefined) {
    return renderOrigin(result);
  }
  const table = result.tables[name];
  return table === undefined ? 'Not measured yet.' : renderTable(table);
}

if (import.meta.main) {
  const path = join(import.meta.dirname, '..', PAGE);
  writeFileSync(path, fillPage(readFileSync(path, 'utf8')));
}
