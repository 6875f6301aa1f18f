import { readFile } from 'node:fs/promises';

/** The version of this facteur. */
export interface BuildVersion {
  readonly version: string;
  readonly commit: string;
}

/**
 * Version and commit: `FACTEUR_VERSION` and `FACTEUR_COMMIT`, else the values in the package file, else `unknown`. In
 * a checkout the file has no commit; in the production folder the build wrote it.
 */
export async function buildVersion(
  env: Readonly<Record<string, string | undefined>>,
  packageFile: URL,
): Promise<BuildVersion> {
  const manifest: unknown = JSON.parse(await readFile(packageFile, 'utf8'));
  const { version, commit } = Object(manifest) as { readonly version?: string; readonly commit?: string };
  return {
    version: env['FACTEUR_VERSION'] || version || 'unknown',
    commit: env['FACTEUR_COMMIT'] || commit || 'unknown',
  };
}
