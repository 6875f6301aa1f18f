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

test('finds no faults in a valid tree', () => {
  expect(
    faults({
      'src/main.ts': "import './cli/wiring.ts';",
      'src/cli/wiring.ts': "import '../service/app.ts';\nconst sandbox = () => import('./sandbox.ts');",
      'src/cli/sandbox.ts': "const run = () => import('./sandbox-run.ts');",
      'src/cli/sandbox-run.ts': "import '../../sandbox/cluster/server.ts';",
      'src/service/app.ts':
        "import './readiness.ts';\nimport '../entry/http/server.ts';\nconst later = () => import('../ledger/accept.ts');",
      'src/service/readiness.ts': EMPTY,
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
      'sandbox/cluster/server.ts': "import '../../src/base/clock.ts';",
      'test/support/database.ts': "import '../../src/service/app.ts';",
      'test/index.ts': EMPTY,
    }),
  ).toEqual([]);
});

describe('direction', () => {
  test.each([
    ['src/domain/a.ts', '../ledger/b.ts', 'imports point down only: domain is below ledger'],
    ['src/proto/a.ts', '../domain/b.ts', 'imports point down only: proto is below domain'],
    ['src/entry/http/a.ts', '../../service/app.ts', 'imports point down only: entry is below service,'],
    ['src/cli/wiring.ts', '../main.ts', 'imports point down only: cli is below main,'],
    ['src/service/a.ts', '../cli/b.ts', 'imports point down only: service is below cli,'],
    ['src/submit/a.ts', '../notify/b.ts', 'submit and notify never import each other'],
    ['sandbox/a.ts', '../src/config/b.ts', 'sandbox may import only base and domain, not config'],
    ['src/entry/http/a.ts', '../../../sandbox/b.ts', 'sandbox stands beside the product: entry must not import it'],
    ['src/cli/a.ts', '../../sandbox/b.ts', 'sandbox/b.ts is loaded by `import()`'],
    ['src/cli/a.ts', './sandbox-run.ts', 'src/cli/sandbox-run.ts is loaded by `import()`'],
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

  test('an import in a comment or a string does not count', () => {
    const text = "// import '../ledger/b.ts'\nconst sql = `import '../ledger/b.ts'`;";
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

  test('tests and scripts need real names too', () => {
    expect(faults({ 'test/a.ts': "import './b.js';", 'test/b.ts': EMPTY })).toHaveLength(1);
    expect(faults({ 'scripts/a.ts': "import './b.js';", 'scripts/b.ts': EMPTY })).toHaveLength(2);
  });

  test('a package that production does not install', () => {
    expect(faults({ 'src/base/a.ts': "import fc from '@scope/dev/x';" })).toEqual([
      'src/base/a.ts:1: "@scope/dev" is not in "dependencies", so production does not have it',
    ]);
  });
});

test('reports import cycles from file to file, also through types and re-exports', () => {
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

describe('exports', () => {
  const exported =
    'export interface A {}\nexport const { b, c: d } = f();\nexport function e() {}\nexport class F {}\n';

  test('reports unused exports, with their line', () => {
    expect(faults({ 'src/base/a.ts': exported })).toEqual(
      [
        ['A', 1],
        ['b', 2],
        ['d', 2],
        ['e', 3],
        ['F', 4],
      ].map(([name, line]) => `src/base/a.ts:${line}: nobody imports ${name}: do not export it`),
    );
  });

  test.each([
    "import { A, b, d, e, F } from './a.ts';",
    "import type { A } from './a.ts';\nexport { b, d as x, e, F } from './a.ts';",
    "import * as all from './a.ts';",
    "const { b } = await import('./a.ts');",
  ])('%s uses them, even in a test', (text) => {
    expect(faults({ 'src/base/a.ts': exported, 'src/base/a.test.ts': text })).toEqual([]);
  });
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
    ['src/app.ts', '"app.ts" is no layer'],
  ])('%s', (path, message) => {
    expect(faults({ [path]: EMPTY })[0]).toContain(`${path}:0: ${message}`);
  });
});

test('fails for a file that is not valid TypeScript', () => {
  write({ 'src/base/a.ts': 'import {' });
  expect(() => checkTree(root)).toThrow('src/base/a.ts');
});

test('reports modules that are loaded too early, before serve listens', () => {
  const found = faults({
    'package.json': JSON.stringify({ dependencies: { ioredis: '1.0.0', pg: '1.0.0' } }),
    'src/main.ts': "const start = () => import('./cli/wiring.ts');",
    'src/cli/wiring.ts': "const run = () => import('./runs.ts');",
    'src/cli/runs.ts': "import { STATUS_CODES } from 'node:http';",
    'src/cli/start-service.ts': "import '../clients/sessions/redis.ts';\nimport './runs.ts';",
    'src/clients/sessions/redis.ts':
      "import type { Redis } from 'ioredis';\nimport { createServer } from 'node:http';\nimport 'pg';\nconst load = () => import('ioredis');\nimport { Cluster } from 'ioredis';",
  });
  expect(found).toEqual([
    expect.stringContaining('src/cli/start-service.ts:2: src/cli/runs.ts is loaded before serve listens'),
    expect.stringContaining('src/clients/sessions/redis.ts:2: node:http is loaded before serve listens'),
    expect.stringContaining('src/clients/sessions/redis.ts:5: ioredis is loaded before serve listens'),
  ]);
});
