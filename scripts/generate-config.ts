/**
 * Generates files from the configuration's schema: `schemas/facteur.schema.json`, and the table of keys between the two markers
 * in `docs/configuration.md`. Run it after changing a key; `src/config/generated.test.ts` fails until then.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configSchema, keyTable } from '../src/config/report.ts';

const root = join(import.meta.dirname, '..');
const page = join(root, 'docs', 'configuration.md');

writeFileSync(join(root, 'schemas', 'facteur.schema.json'), configSchema());
writeFileSync(
  page,
  readFileSync(page, 'utf8').replace(
    /(?<=<!-- keys -->\n).*(?=<!-- \/keys -->)/s,
    // A function, so that a dollar sign in a description has no special meaning.
    () => `\n${keyTable()}\n`,
  ),
);
