import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { buildVersion } from './build-version.ts';

const PACKAGE = new URL('../../package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(PACKAGE, 'utf8'));

test('takes the version and the commit from the environment', async () => {
  const env = { FACTEUR_VERSION: '9.8.7', FACTEUR_COMMIT: 'abc' };
  expect(await buildVersion(env, PACKAGE)).toEqual({ version: '9.8.7', commit: 'abc' });
});

test('falls back to the version of the package and an unknown commit if the variables are missing or empty', async () => {
  expect(await buildVersion({}, PACKAGE)).toEqual({ version, commit: 'unknown' });
  expect(await buildVersion({ FACTEUR_VERSION: '', FACTEUR_COMMIT: '' }, PACKAGE)).toEqual({
    version,
    commit: 'unknown',
  });
});
