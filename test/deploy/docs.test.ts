import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { allCommands } from '../../src/cli/wiring.ts';
import type { CliIo } from '../../src/cli/io.ts';

const ROOT = join(import.meta.dirname, '../..');
const DOCUMENTS = [
  'docs/facteur-discord-argo.md',
  'docs/install.md',
  'docs/upgrade.md',
  'docs/security.md',
  'docs/runbook.md',
  'docs/metrics.md',
  'docs/testing.md',
  'deploy/README.md',
  'deploy/chart/README.md',
];

/** The code of a document: fenced blocks and text in backticks. */
function codeOf(text: string): string {
  const blocks = [...text.matchAll(/^```\w*\n(.*?)^```/gms)].map(([, code]) => code);
  const spans = [...text.replaceAll(/^```.*?^```/gms, '').matchAll(/`([^`\n]+)`/g)].map(([, code]) => code);
  return [...blocks, ...spans].join('\n');
}

async function commandNames(): Promise<ReadonlySet<string>> {
  const program = new Command();
  for (const register of await allCommands({ version: '', commit: '' })) {
    register(program, { env: {} } as CliIo);
  }
  return new Set(program.commands.map((command) => command.name()));
}

test.each([
  ['config/example.yaml', 'examples/facteur.yaml'],
  ['docs/examples/codex-task.json', 'examples/codex-task.json'],
])('%s, a path in the Go service’s README, is a link to %s', (theirs, ours) => {
  expect(realpathSync(join(ROOT, theirs))).toBe(realpathSync(join(ROOT, ours)));
});

describe.each(DOCUMENTS)('%s', (path) => {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const code = codeOf(text);

  test('names existing files', () => {
    const named = [...text.matchAll(/(?<![\w/])(?:deploy|docs|examples|test|\.github)\/[\w./-]*[\w/]/g)].map(
      ([name]) => name,
    );
    const links = [...text.matchAll(/\]\((?!#|https?:)([^)#]+)/g)].map(([, link = '']) => join(dirname(path), link));
    expect(named.length + links.length).toBeGreaterThan(0);
    // The reader's own overlay.
    const ours = [...named, ...links].filter((name) => !name.startsWith('deploy/overlays/mine'));
    expect(ours.filter((name) => !existsSync(join(ROOT, name)))).toEqual([]);
  });

  test('links to existing headings', () => {
    const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    );
    const anchors = [...text.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor);
    expect(anchors.filter((anchor) => !headings.includes(anchor ?? ''))).toEqual([]);
  });

  test('runs existing scripts', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const named = [...code.matchAll(/npm run (?:-s )?([\w:]+)/g)].map(([, script = '']) => script);
    expect(named.filter((script) => !(script in scripts))).toEqual([]);
  });

  test('sets known variables', () => {
    const known = [
      'docs/configuration.md',
      'package.json',
      'scripts/cluster/service.ts',
      'scripts/rehearse-upgrade.ts',
      'scripts/deploy/options.ts',
      'test/e2e/stack.ts',
    ]
      .map((file) => readFileSync(join(ROOT, file), 'utf8'))
      .join('\n');
    const named = [...text.matchAll(/\bFACTEUR_\w+/g)].map(([name]) => name);
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
  });

  test('calls existing commands of facteur', async () => {
    const names = await commandNames();
    const called = [...code.matchAll(/(?:-- facteur|npm run (?:-s )?facteur --|^facteur) ([a-z-]+)/gm)].map(
      ([, name = '']) => name,
    );
    expect(called.filter((name) => !names.has(name))).toEqual([]);
  });
});
