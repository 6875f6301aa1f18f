import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');

/** Each faulty file, with the rule that must report it. Together they are what CONTRIBUTING.md promises. */
const FAULTY: readonly (readonly [path: string, rule: string, text: string])[] = [
  ['src/base/floating.ts', 'no-floating-promises', `export function f(g: () => Promise<void>): void { g(); }`],
  [
    'src/base/misused.ts',
    'no-misused-promises',
    `export const f = (g: () => Promise<void>): void => { setTimeout(g, 1); };`,
  ],
  ['src/base/empty-catch.ts', 'no-empty', `export function f(g: () => void): void { try { g(); } catch {} }`],
  [
    'src/base/lost-cause.ts',
    'preserve-caught-error',
    `export function f(g: () => void): void { try { g(); } catch (e) { throw new Error('x'); } }`,
  ],
  [
    'src/base/parameters.ts',
    'max-params',
    `export const f = (a: 1, b: 1, c: 1, d: 1, e: 1): number => a + b + c + d + e;`,
  ],
  [
    'src/base/depth.ts',
    'max-depth',
    `export function f(n: number): void { if (n) { while (n) { for (;;) { if (n) { return; } } } } }`,
  ],
  [
    'src/base/complex.ts',
    'complexity',
    `export const f = (n: number): number => ${'n === 1 ? 1 : ('.repeat(10)}n${')'.repeat(10)};`,
  ],
  ['src/base/long.ts', 'max-lines', `export {};\n${'// one more\n'.repeat(400)}`],
  ['src/base/default.ts', 'no-default-export', `export default 1;`],
  ['src/base/process.ts', 'no-restricted-globals', `export const f = (): number => process.pid;`],
  ['src/service/app.ts', 'no-restricted-globals', `export const f = (): number => process.pid;`],
  [
    'src/base/node-process.ts',
    'no-restricted-imports',
    `import { pid } from 'node:process';\nexport const f = (): number => pid;`,
  ],
  [
    'src/base/fetch.ts',
    'no-restricted-globals',
    `export const f = (): Promise<Response> => fetch('http://127.0.0.1');`,
  ],
  ['src/base/now.ts', 'no-restricted-properties', `export const f = (): number => Date.now();`],
  ['src/base/random.ts', 'no-restricted-properties', `export const f = (): number => Math.random();`],
  ['src/base/console.ts', 'no-console', `export const f = (): void => console.log('x');`],
  ['src/base/any.ts', 'no-explicit-any', `export const f = (x: any): unknown => x as unknown;`],
  ['src/base/unsafe.ts', 'no-unsafe-return', `export const f = (): number => JSON.parse('1');`],
  ['src/base/signature.ts', 'explicit-module-boundary-types', `export const f = () => 1;`],
  ['src/base/CamelCase.ts', 'filename-case', `export {};`],
  [
    'src/base/switch.ts',
    'switch-exhaustiveness-check',
    `export function f(x: 'a' | 'b'): void { switch (x) { case 'a': f(x); } }`,
  ],
  ['test/mock.test.ts', 'no-restricted-vi-methods', `import { vi } from 'vitest';\nvi.mock('./x.ts');`],
  [
    'test/only.test.ts',
    'no-focused-tests',
    `import { expect, test } from 'vitest';\ntest.only('x', () => { expect(1).toBe(1); });`,
  ],
  [
    'test/skip.test.ts',
    'no-disabled-tests',
    `import { expect, test } from 'vitest';\ntest.skip('x', () => { expect(1).toBe(1); });`,
  ],
  ['test/todo.test.ts', 'warn-todo', `import { test } from 'vitest';\ntest.todo('x');`],
  ['test/nothing.test.ts', 'expect-expect', `import { test } from 'vitest';\ntest('x', () => {});`],
  [
    'test/floating.test.ts',
    'no-floating-promises',
    `import { expect, test } from 'vitest';\ntest('x', () => { expect(1).toBe(1); Promise.resolve(1); });`,
  ],
];

/** Code that the same rules must accept. */
const FINE: readonly (readonly [path: string, text: string])[] = [
  ['src/main.ts', `export const f = (): void => { console.log(process.pid, Date.now(), Math.random(), fetch); };`],
  ['src/cli/wiring.ts', `export const f = (): unknown[] => [Date.now(), Math.random(), fetch];`],
  [
    'src/base/fine.test.ts',
    `import { expect, test } from 'vitest';\ntest('x', () => { expect(process.pid + Date.now()).toBeGreaterThan(JSON.parse('1')); });`,
  ],
  ['scripts/fine.ts', `console.log(process.pid, Date.now());`],
  ['src/proto/a_pb.ts', `export default process.pid as any;`],
];

const folder = mkdtempSync(join(tmpdir(), 'lint-rules-'));

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Lints both tables in one run of the real linter with the real configuration. @returns `path: rule` per error */
function lint(): string[] {
  for (const name of ['.oxlintrc.jsonc', 'tsconfig.json', 'package.json']) {
    cpSync(join(ROOT, name), join(folder, name));
  }
  for (const name of ['vitest', '@types', 'undici-types']) {
    mkdirSync(join(folder, 'node_modules'), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
  }
  for (const [path, text] of [...FAULTY.map(([faulty, , content]) => [faulty, content] as const), ...FINE]) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const { stdout, stderr } = spawnSync('oxlint', ['--type-aware', '--format=json', 'src', 'test', 'scripts'], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env['PATH']}` },
  });
  expect(stderr).toBe('');
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string; filename: string }[] };
  return diagnostics.map(({ code, filename }) => `${filename}: ${/\((.*)\)/.exec(code)?.[1] ?? code}`);
}

test('the linter reports what CONTRIBUTING.md forbids, and accepts valid code', () => {
  const objections = new Set(lint());
  const missed = FAULTY.map(([path, rule]) => `${path}: ${rule}`).filter((expected) => !objections.has(expected));
  expect(missed).toEqual([]);
  expect([...objections].filter((objection) => FINE.some(([path]) => objection.startsWith(`${path}:`)))).toEqual([]);
});
