/** Prints the section of a version in CHANGELOG.md, for its release: `node scripts/release-notes.ts 1.2.3`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The section of a version, without its heading.
 *
 * @throws Error if the changelog has no such section, or an empty one: a release needs notes
 */
export function releaseNotes(changelog: string, version: string): string {
  const sections = changelog.split(/^## /m).slice(1);
  const section = sections.find((text) => text.split(/[\s\]]/, 1)[0]?.replace('[', '') === version);
  const notes = section?.split('\n').slice(1).join('\n').trim() ?? '';
  if (notes === '') {
    throw new Error(`CHANGELOG.md has no section ${version}: rename Unreleased before the tag`);
  }
  return `${notes}\n`;
}

if (import.meta.main) {
  const changelog = readFileSync(join(import.meta.dirname, '../CHANGELOG.md'), 'utf8');
  process.stdout.write(releaseNotes(changelog, process.argv[2] ?? ''));
}
