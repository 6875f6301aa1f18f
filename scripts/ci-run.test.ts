import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ci-run-'));
  for (const name of ['.ci', 'scripts', 'bin', 'node_modules/.bin']) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  cpSync(join(import.meta.dirname, '../.ci/run'), join(folder, '.ci/run'));
  cpSync(join(import.meta.dirname, 'count-tests.ts'), join(folder, 'scripts/count-tests.ts'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  symlinkSync(process.execPath, join(folder, 'node_modules/.bin/node'));
  command('npx', '');
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function command(name: string, script: string): void {
  writeFileSync(join(folder, 'bin', name), `#!/usr/bin/env bash\n${script}\n`);
  chmodSync(join(folder, 'bin', name), 0o755);
}

/** A fake npm that runs `cases` (of a shell's `case "$*"`), else does nothing, and reports tests with these statuses. */
function npm(cases: string, statuses: readonly string[] = ['passed']): void {
  const assertionResults = statuses.map((status, index) => ({ fullName: `test ${index}`, status }));
  const report = { testResults: [{ name: 'a.test.ts', status: 'passed', assertionResults }] };
  writeFileSync(join(folder, 'report'), JSON.stringify(report));
  command('npm', `case "$*" in ${cases} *--outputFile.json=*) last=\${*: -1}; cp report "\${last#*=}";; esac`);
}

async function ciRun(...args: string[]): Promise<{ code: number; lines: string[] }> {
  const env = { ...process.env, PATH: `${join(folder, 'bin')}:${process.env['PATH']}` };
  const { promise, resolve } = Promise.withResolvers<{ code: number; lines: string[] }>();
  execFile('bash', [join(folder, '.ci/run'), ...args], { env }, (error, stdout) => {
    resolve({ code: error === null ? 0 : Number(error.code), lines: stdout.trimEnd().split('\n') });
  });
  return promise;
}

/** Empty for a process that has ended, even if it is still a zombie. */
function commandLine(pid: number): string {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

test('the last line has the sum of steps and tests', async () => {
  npm('', ['passed', 'passed', 'passed']);
  const { code, lines } = await ciRun();
  expect(lines.at(-1)).toBe('27 passed, 0 failed');
  expect(code).toBe(0);
});

test('a failed step does not stop the others', async () => {
  npm('*typecheck*) echo "error TS1"; exit 2;;');
  const { code, lines } = await ciRun();
  expect(lines).toContain('error TS1');
  expect(lines).toContainEqual(expect.stringMatching(/^FAIL .* types \(exit 2\)$/));
  expect(lines).toContainEqual(expect.stringMatching(/^ok .* sandbox$/));
  expect(lines.at(-1)).toBe('18 passed, 1 failed');
  expect(code).toBe(1);
});

test('a skipped test fails the run even though Vitest passes', async () => {
  npm('', ['passed', 'skipped']);
  const { code, lines } = await ciRun('test');
  expect(lines).toContainEqual(expect.stringMatching(/^FAIL .* test \(1 tests passed, 1 failed\)$/));
  expect(lines.at(-1)).toBe('1 passed, 2 failed');
  expect(code).toBe(1);
});

test('a test run without a report counts as failed', async () => {
  npm('test*) exit 0;;');
  expect((await ciRun('test')).lines.at(-1)).toBe('0 passed, 1 failed');
});

test('if the packages cannot be installed, no other step runs, and the last line is still the count', async () => {
  npm('ci*) exit 1;;');
  const { code, lines } = await ciRun();
  expect(lines.filter((line) => line.startsWith('== '))).toHaveLength(2);
  expect(lines.at(-1)).toBe('0 passed, 1 failed');
  expect(code).toBe(1);
});

test('reports and kills a process that a step leaves running, even a detached one', async () => {
  npm(`*smoke*) read pid < <(setsid bash -c 'echo $$; exec sleep 300 >/dev/null 2>&1'); echo "pid $pid";;`);
  const { lines } = await ciRun('smoke');
  const pid = Number(lines.find((line) => line.startsWith('pid '))?.slice(4));
  expect(lines).toContainEqual(expect.stringContaining(`killed a process that "smoke" left running: ${pid}`));
  await expect.poll(() => commandLine(pid)).toBe('');
});

test('an unknown step fails', async () => {
  npm('');
  expect((await ciRun('tset')).code).toBe(1);
});
