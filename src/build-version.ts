import { readFile } from 'node:fs/promises';

/** What runs here. */
export interface BuildVersion {
  readonly version: string;
  readonly commit: string;
}

/**
 * Version and commit: `FACTEUR_VERSION` and `FACTEUR_COMMIT` win, else the package's version and `unknown`. The package
 * file lies beside `src` in a checkout and beside `dist` in the image.
 */
export async function buildVersion(env: Readonly<Record<string, string | undefined>>): Promise<BuildVersion> {
  const manifest: unknown = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
  const packaged =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown';
  return { version: env['FACTEUR_VERSION'] || packaged, commit: env['FACTEUR_COMMIT'] || 'unknown' };
}
