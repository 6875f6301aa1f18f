import { readFile } from 'node:fs/promises';

/** What runs here. */
export interface BuildVersion {
  readonly version: string;
  readonly commit: string;
}

/**
 * Version and commit: `FACTEUR_VERSION` and `FACTEUR_COMMIT` win, else what the package file says, else `unknown`. It lies
 * beside `src` in a checkout, where it names no commit, and beside `dist` in the production folder, where the build put it.
 */
export async function buildVersion(env: Readonly<Record<string, string | undefined>>): Promise<BuildVersion> {
  const manifest: unknown = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
  const { version, commit } = Object(manifest) as { readonly version?: string; readonly commit?: string };
  return {
    version: env['FACTEUR_VERSION'] || version || 'unknown',
    commit: env['FACTEUR_COMMIT'] || commit || 'unknown',
  };
}
