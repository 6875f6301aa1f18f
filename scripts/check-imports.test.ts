import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkTree } from './check-imports.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'check-imports-'));
  write({ 'package.json': JSON.stringify({ dependencies: { pg: '1.0.0', '@scope/kept': '1.0.0' } }) });
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

function faults(files: Readonly<Record<string, string>>): string[] {
  write(files);
  return checkTree(root).map(({ path, line, message }) => `${path}:${line ?? 0}: ${message}`);
}

const EMPTY = 'export {};';

test('a tree that keeps the rules has no faults', () => {
  expect(
    faults({
      'src/main.ts': "import './app.ts';\nimport './sandbox/cluster/server.ts';",
      'src/app.ts':
        "import './readiness.ts';\nimport './entry/http/server.ts';\nexport const later = () => import('./ledger/accept.ts');",
      'src/readiness.ts': EMPTY,
      'src/entry/http/server.ts': "import '../../dispatch/accept.ts';",
      'src/dispatch/accept.ts': "import '../ledger/accept.ts';\nimport '../submit/create.ts';",
      'src/submit/create.ts':
        "import { Pool } from 'pg';\nimport { readFile } from 'node:fs';\nimport x from '@scope/kept/deep';",
      'src/submit/create.test.ts':
        "import './create.ts';\nimport '../../test/support/database.ts';\nimport { test } from 'vitest';",
      'src/ledger/accept.ts': "import type { Workflow } from 'types-only';\nimport '../domain/run.ts';",
      'src/domain/run.ts': "import type { Clock } from '../base/clock.ts';\nimport '../proto/a/b/c/d_pb.ts';",
      'src/proto/a/b/c/d_pb.ts': EMPTY,
      'src/base/clock.ts': EMPTY,
      'src/sandbox/cluster/server.ts': "import '../../base/clock.ts';",
      'test/support/database.ts': "import '../../src/app.ts';",
      'test/index.ts': EMPTY,
    }),
  ).toEqual([]);
});

describe('direction', () => {
  test.each([
    ['src/domain/a.ts', '../ledger/b.ts', 'imports point down only: domain is below ledger'],
    ['src/proto/a.ts', '../domain/b.ts', 'imports point down only: proto is below domain'],
    ['src/entry/cli/a.ts', '../../app.ts', 'imports point down only: entry is below app,'],
    ['src/app.ts', './main.ts', 'imports point down only: app is below main,'],
    ['src/config/a.ts', '../readiness.ts', 'imports point down only: config is below app,'],
    ['src/submit/a.ts', '../notify/b.ts', 'submit and notify never import each other'],
    ['src/sandbox/a.ts', '../config/b.ts', 'sandbox may import only base and domain, not config'],
    ['src/entry/cli/a.ts', '../../sandbox/b.ts', 'sandbox stands beside the product: entry must not import it'],
    ['src/telemetry/a.ts', '../config/b.ts', 'telemetry may import only base, not config'],
    ['src/submit/a.ts', '../telemetry/b.ts', 'telemetry stands beside the product: submit must not import it'],
    ['src/base/a.ts', '../../scripts/b.ts', 'production code imports from outside src'],
    ['src/base/a.ts', './b.test.ts', 'production code imports test code'],
    ['src/base/a.ts', '../../test/b.ts', 'production code imports test code'],
  ])('%s importing %s', (path, specifier, message) => {
    const target = join(dirname(path), specifier);
    expect(faults({ [path]: `import '${specifier}';`, [target]: EMPTY })).toEqual([
      expect.stringContaining(`${path}:1: ${message}`),
    ]);
  });

  test.each([
    ["import type { B } from '../ledger/b.ts';", 1],
    ["\nexport * from '../ledger/b.ts';", 2],
    ["\n\nexport type { B } from '../ledger/b.ts';", 3],
    ["const b = await import('../ledger/b.ts');", 1],
    ["type B = import('../ledger/b.ts').B;", 1],
  ])('%j counts as an import', (text, line) => {
    expect(faults({ 'src/domain/a.ts': text, 'src/ledger/b.ts': EMPTY })).toEqual([
      expect.stringContaining(`src/domain/a.ts:${line}: imports point down only`),
    ]);
  });

  test('an import in a comment or a string is none', () => {
    const text = "// import '../ledger/b.ts'\nexport const sql = `import '../ledger/b.ts'`;";
    expect(faults({ 'src/domain/a.ts': text, 'src/ledger/b.ts': EMPTY })).toEqual([]);
  });
});

describe('file names in imports', () => {
  test.each([
    ['./b.js', '"./b.js" fails at run time: write the real name, b.ts'],
    ['./b', '"./b" fails at run time: write the real name, b.ts'],
    ['./c.ts', 'there is no file "./c.ts"'],
    ['/etc/b.ts', 'import "/etc/b.ts" by a relative path'],
    ['#b', 'import "#b" by a relative path'],
  ])('%s', (specifier, message) => {
    expect(faults({ 'src/base/a.ts': `import '${specifier}';`, 'src/base/b.ts': EMPTY })).toEqual([
      `src/base/a.ts:1: ${message}`,
    ]);
  });

  test('tests and scripts are held to real names too', () => {
    expect(faults({ 'test/a.ts': "import './b.js';", 'test/b.ts': EMPTY })).toHaveLength(1);
    expect(faults({ 'scripts/a.ts': "import './b.js';", 'scripts/b.ts': EMPTY })).toHaveLength(2);
  });

  test('a package that production does not install', () => {
    expect(faults({ 'src/base/a.ts': "import fc from '@scope/dev/x';" })).toEqual([
      'src/base/a.ts:1: "@scope/dev" is not in "dependencies", so production does not have it',
    ]);
  });
});

test('circles are named from file to file, also through types and re-exports', () => {
  expect(
    faults({
      'src/base/a.ts': "import './b.ts';",
      'src/base/b.ts': "import type { C } from './c.ts';",
      'src/base/c.ts': "export * from './a.ts';",
    }),
  ).toEqual([
    'src/base/a.ts:0: imports go in a circle: src/base/a.ts -> src/base/b.ts -> src/base/c.ts -> src/base/a.ts',
  ]);
});

describe('names and places', () => {
  test.each([
    ['src/base/string-utils.ts', '"utils" says nothing'],
    ['src/helpers/a.ts', '"helpers" says nothing'],
    ['test/support/misc.ts', '"misc" says nothing'],
    ['src/ledger/run-manager.test.ts', '"manager" says nothing'],
    ['src/entry/discord/buttons/retry.ts', 'too deep'],
    ['src/ledger/index.ts', 'no barrels in src'],
    ['src/ledgers/a.ts', '"ledgers" is no layer'],
  ])('%s', (path, message) => {
    expect(faults({ [path]: EMPTY })[0]).toContain(`${path}:0: ${message}`);
  });
});

test('a file that is no TypeScript is an error, not a file without imports', () => {
  write({ 'src/base/a.ts': 'import {' });
  expect(() => checkTree(root)).toThrow('src/base/a.ts');
});
