import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findTool } from './tools.ts';

const FOLDER = join(import.meta.dirname, '../../.github');

/** Runs zizmor on a folder with the layout of .github. */
function audit(folder: string): { readonly status: number | null; readonly found: readonly string[] } {
  const args = ['--offline', '--no-progress', '--format', 'json-v1', folder];
  const { status, stdout } = spawnSync(findTool('zizmor'), args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return { status, found: (JSON.parse(stdout) as { ident: string }[]).map(({ ident }) => ident) };
}

test('zizmor finds nothing in the workflows', () => {
  expect(audit(FOLDER)).toEqual({ status: 0, found: [] });
});

test('zizmor finds an action that is not pinned', () => {
  const folder = mkdtempSync(join(tmpdir(), 'facteur-github-'));
  try {
    cpSync(FOLDER, join(folder, '.github'), { recursive: true });
    const file = join(folder, '.github/workflows/test.yml');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/checkout@[0-9a-f]{40}/, 'checkout@main'));
    expect(audit(join(folder, '.github')).found).toContain('unpinned-uses');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
