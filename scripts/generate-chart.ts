/**
 * Writes the generated parts of deploy/chart: the table of values in its README, from the schema and values.yaml, and copies of
 * the files of the component `workflows`, which a chart cannot reference.
 */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const CHART = join(import.meta.dirname, '../deploy/chart');
const COPIED = ['dispatch.yaml', 'service-account.yaml'];
const MARKS = ['<!-- values -->', '<!-- /values -->'] as const;

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** `chart/README.md` with an updated table. */
export function chartReadme(): string {
  const read = (name: string): string => readFileSync(join(CHART, name), 'utf8');
  const schema = JSON.parse(read('values.schema.json')) as Schema;
  const rows = rowsOf(schema, parse(read('values.yaml')), []);
  const table = ['| value | default | meaning |', '| --- | --- | --- |', ...rows].join('\n');
  const [before = '', rest = ''] = read('README.md').split(MARKS[0]);
  const [, after = ''] = rest.split(MARKS[1]);
  return `${before}${MARKS[0]}\n\n${table}\n\n${MARKS[1]}${after}`;
}

/** One row per value; an open map, such as `config`, has one row. */
function rowsOf({ description, properties }: Schema, value: unknown, path: readonly string[]): readonly string[] {
  if (properties !== undefined) {
    const values = (value ?? {}) as Readonly<Record<string, unknown>>;
    return Object.entries(properties).flatMap(([name, inner]) =>
      name === 'global' ? [] : rowsOf(inner, values[name], [...path, name]),
    );
  }
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
  const shown = isMap ? 'see values.yaml' : `\`${JSON.stringify(value)}\``;
  return [`| \`${path.join('.')}\` | ${shown} | ${(description ?? '').replaceAll('|', '\\|')} |`];
}

if (import.meta.main) {
  for (const name of COPIED) {
    copyFileSync(join(CHART, '../components/workflows', name), join(CHART, 'files', name));
  }
  writeFileSync(join(CHART, 'README.md'), chartReadme());
}
