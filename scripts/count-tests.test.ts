import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countTests } from './count-tests.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'count-tests-'));
  symlinkSync(join(import.meta.dirname, '../node_modules'), join(folder, 'node_modules'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Runs a real Vitest on one test file and counts its report. */
async function count(text: string): Promise<ReturnType<typeof countTests>> {
  writeFileSync(join(folder, 'a.test.js'), `import { expect, test } from 'vitest';\n${text}`);
  const vitest = join(import.meta.dirname, '../node_modules/vitest/vitest.mjs');
  const args = [vitest, 'run', '--root', folder, '--reporter=json', '--outputFile=report.json'];
  await new Promise<void>((resolve) => {
    // A failing run is part of the test: its report counts, not its exit code.
    execFile(process.execPath, args, { cwd: folder }, () => resolve());
  });
  return countTests(JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8')));
}

const PASSING = `test('good', () => expect(1).toBe(1));`;
const FAILING = `test('bad', () => expect(1).toBe(2));`;

test('counts passed and failed tests', async () => {
  expect(await count(PASSING + FAILING)).toEqual({ passed: 1, failed: 1, unseen: [] });
});

test('counts skipped, conditional and todo tests as failed, and names them', async () => {
  const text = `${PASSING}
    test.skip('one', () => {});
    test.skipIf(true)('two', () => {});
    test('three', (context) => context.skip());
    test.todo('four');`;
  const { passed, failed, unseen } = await count(text);
  expect([passed, failed]).toEqual([1, 4]);
  expect(unseen.map((line) => line.replace(/: .* > /, ': '))).toEqual([
    'skipped: one',
    'skipped: two',
    'skipped: three',
    'todo: four',
  ]);
});

test('counts a file that does not load as failed, with the reason', async () => {
  const { passed, failed, unseen } = await count(`import './absent.js';`);
  expect([passed, failed]).toEqual([0, 1]);
  expect(unseen[0]).toMatch(/^did not load: .*absent\.js/s);
});
